"""The `.d2s` archive: programs as JSON, weights as safetensors; nothing in it is ever executed."""

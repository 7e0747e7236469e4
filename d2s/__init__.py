"""d2s: a source-to-source dynamic-to-static transpiler for PyTorch."""

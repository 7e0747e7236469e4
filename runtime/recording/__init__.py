"""Makes programs: records a rewritten function once, on tensors without data."""

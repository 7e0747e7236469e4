"""Out of Python: programs as `torch.export` and what is made of it."""

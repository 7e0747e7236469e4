"""Lowering: makes a program, a chain of small passes, functional torch code with `cond` and `while_loop`."""

"""Passes from syntax tree to syntax tree. Knows Python, and nothing of torch."""

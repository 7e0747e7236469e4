"""Checks and changes of programs."""

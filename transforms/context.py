"""What the passes share while they rewrite one function."""

from __future__ import annotations

from dataclasses import dataclass

from d2s.transforms.naming import Namer

# The name by which rewritten code calls the conversion operators of d2s.runtime.operators.
OPERATORS = "_d2s"


@dataclass
class Context:
    """The function's file, for messages, the names that are taken, and the class that the function is defined in."""

    filename: str
    namer: Namer
    owner: str | None = None

"""The chain of passes, in order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from d2s.transforms import (
    activity,
    breaks,
    calls,
    comprehensions,
    continues,
    declarations,
    expressions,
    generators,
    handlers,
    ifs,
    loops,
    returns,
    supers,
    tails,
    tries,
    writes,
)
from d2s.transforms.context import Context

Pass = Callable[[Any, Context], Any]
Watch = Callable[[str, Any], None]


def passes() -> list[tuple[str, Pass]]:
    """Every pass by name, in the order in which they run."""
    return [
        ("supers", supers.transform),
        ("tails", tails.transform),
        # Makes returns of what ends a generator.
        ("generators", generators.transform),
        # Exits first: an `if` that still holds a `return` can't become a pair of functions. A return in a
        # loop becomes a flag and a break, so returns come before breaks.
        ("returns", returns.transform),
        ("breaks", breaks.transform),
        ("continues", continues.transform),
        ("comprehensions", comprehensions.transform),
        # Also rewrites the tests that the exits made, and makes an `if` of each assert for what follows.
        ("expressions", expressions.transform),
        # Looks at the function while its `if`s and loops still stand; the passes for them read what it found.
        ("activity", activity.transform),
        ("ifs", ifs.transform),
        ("loops", loops.transform),
        ("tries", tries.transform),
        # Also into the functions that the passes before have made.
        ("handlers", handlers.transform),
        # After ifs and loops, whose bodies they look into; calls of the operators themselves stay as they are.
        ("calls", calls.transform),
        ("writes", writes.transform),
        # Last, when it is known what the function itself no longer binds.
        ("declarations", declarations.transform),
    ]


# Those for a function that runs in eager, of which only the calls are to go through an operator.
CALLS_ONLY = frozenset({"supers", "calls"})


def run_passes(tree: Any, context: Context, watch: Watch | None = None, only: Collection[str] | None = None) -> Any:
    """The rewritten tree; `watch(name, tree)` is called after each pass. `only` are the names of those to run."""
    for name, transform in passes():
        if only is not None and name not in only:
            continue
        tree = transform(tree, context)
        if watch is not None:
            watch(name, tree)
    return tree

"""A net under reads and writes: which objects lived before a recording, though no variable leads to them."""

from __future__ import annotations

import enum
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import is_users_class
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.recorder import Recorder


class Before:
    """Tells the objects that Python's garbage collector knew at a moment from those that came later."""

    def __init__(self) -> None:
        self._is_on = False

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Meanwhile, objects are told apart; not where some are kept from the collector already."""
        self._is_on = gc.get_freeze_count() == 0
        if not self._is_on:
            yield
            return
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            self._is_on = False

    def check(self, recorder: Recorder) -> None:
        """Go on only if all that lived before, and was written or looked into, is found again at each call.

        Raises:
            CaptureError: there is an object that is not.
        """
        written = [(thing, "written") for thing in recorder.journal.owners()]
        read = [thing for thing in recorder.reads.things() if is_users_class(type(thing))]
        looked_into = [(thing, "read") for thing in (*read, *recorder.reads.containers())]
        unknown = [(thing, word) for thing, word in written + looked_into if not _is_known(recorder, thing)]
        if not self._is_on or not unknown:
            return
        made = set(map(id, gc.get_objects()))
        for thing, word in unknown:
            if id(thing) not in made and gc.is_tracked(thing):  # a collection meanwhile may have changed its mind
                reason = f"a {type(thing).__name__} is {word}, to which no variable leads that d2s knows"
                raise CaptureError("D2S310", reason, "hand it in as an argument, or keep it in a variable")


def _is_known(recorder: Recorder, thing: Any) -> bool:
    """Whether a thing is found again, or told by its value, or none that the collector knows."""
    is_constant = is_value(thing) or isinstance(thing, enum.Enum)  # such as two flags together
    return is_constant or recorder.reachable.knows(thing) or not gc.is_tracked(thing)

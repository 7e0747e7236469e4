"""`super(...)`: what is looked up by it ends in a class, and that entry and the order of classes are guarded."""

from __future__ import annotations

from typing import Any

from d2s.runtime.ir.sources import Attribute, ClassEntry, Constant, is_users_class
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.recording.locations import for_the_user
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.torch_internals.calls import entries_of


class Super(super):
    """Notes where its look-ups end."""

    @for_the_user
    def __getattribute__(self, name: str) -> Any:
        recorder = active_recorder()
        if recorder is not None:
            cls, after = (super.__getattribute__(self, part) for part in ("__self_class__", "__thisclass__"))
            bases = cls.__mro__[cls.__mro__.index(after) + 1 :] if cls is not None else ()
            owner = next((base for base in bases if name in vars(base)), None)
            if cls is not None and is_users_class(cls):
                recorder.reachable.add_root(Attribute(Constant(cls, cls.__qualname__), "__mro__"), cls.__mro__)
            if owner is not None and is_users_class(owner):
                recorder.reachable.add_root(ClassEntry(owner, name), entries_of(owner).get(name))
        return super.__getattribute__(self, name)


REPLACEMENTS[super] = Super

"""The conversion operators that rewritten code calls: a plain-Python branch and a staged branch each.

Rewritten code knows this package as `_d2s`. Outside a recording every operator does exactly what the statement that
it replaces does, so rewritten code runs as ordinary Python anywhere. Inside one, an operator that meets a value known
only when the program runs has it recorded.
"""

from d2s.runtime.errors import Unwinding
from d2s.runtime.operators import asserts as _asserts  # noqa: F401 (it registers its replacements)
from d2s.runtime.operators import attributes as _attributes  # noqa: F401 (it registers its replacements)
from d2s.runtime.operators import checkpoints as _checkpoints  # noqa: F401 (it registers its replacements)
from d2s.runtime.operators import draws as _draws  # noqa: F401 (it registers its replacements)
from d2s.runtime.operators import extremes as _extremes  # noqa: F401 (it registers its replacements)
from d2s.runtime.operators import functional as _functional  # noqa: F401 (so does it)
from d2s.runtime.operators import higher_order as _higher_order  # noqa: F401 (so does it)
from d2s.runtime.operators import imports as _imports  # noqa: F401 (so does it)
from d2s.runtime.operators import mapped as _mapped  # noqa: F401 (so does it)
from d2s.runtime.operators import orders as _orders  # noqa: F401 (so does it)
from d2s.runtime.operators import overrides as _overrides  # noqa: F401 (so does it)
from d2s.runtime.operators import references as _references  # noqa: F401 (so does it)
from d2s.runtime.operators import searching as _searching  # noqa: F401 (so does it)
from d2s.runtime.operators import shapes as _shapes  # noqa: F401 (so does it)
from d2s.runtime.operators import supers as _supers  # noqa: F401 (so does it)
from d2s.runtime.operators.builtins import display
from d2s.runtime.operators.calls import call
from d2s.runtime.operators.comprehensions import generated, listed
from d2s.runtime.operators.copies import own_dict
from d2s.runtime.operators.decisions import (
    and_,
    and_test,
    compare,
    contains,
    if_,
    if_expression,
    is_,
    not_,
    or_,
    or_test,
)
from d2s.runtime.operators.generators import generator
from d2s.runtime.operators.handlers import ANYTHING, entered, handling, handling_groups, joined, unwinding
from d2s.runtime.operators.items import get_item, get_slice
from d2s.runtime.operators.loops import emitted, emitted_all, for_, until, while_
from d2s.runtime.operators.tables import dict_, set_
from d2s.runtime.operators.tails import tail_call
from d2s.runtime.operators.tensor_classes import own_class
from d2s.runtime.operators.texts import formatted, percent, text
from d2s.runtime.operators.writes import (
    delete_attribute,
    delete_item,
    set_attribute,
    set_item,
    update,
    update_attribute,
    update_item,
)
from d2s.runtime.recording.specs import UNSET

__all__ = [
    "ANYTHING",
    "UNSET",
    "Unwinding",
    "and_",
    "and_test",
    "call",
    "compare",
    "contains",
    "delete_attribute",
    "delete_item",
    "dict_",
    "display",
    "emitted",
    "emitted_all",
    "entered",
    "for_",
    "formatted",
    "generated",
    "generator",
    "get_item",
    "get_slice",
    "handling",
    "handling_groups",
    "if_",
    "if_expression",
    "is_",
    "joined",
    "listed",
    "not_",
    "or_",
    "or_test",
    "own_class",
    "own_dict",
    "percent",
    "set_",
    "set_attribute",
    "set_item",
    "tail_call",
    "text",
    "until",
    "unwinding",
    "update",
    "update_attribute",
    "update_item",
    "while_",
]

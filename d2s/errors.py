"""Every exception and warning that d2s raises, each a kind of D2SError or a Python warning."""

import os

from d2s import transforms
from d2s.runtime.errors import OWN_FOLDERS, CannotConvertError, CaptureError, D2SError, LoadError

OWN_FOLDERS.append(os.path.join(os.path.dirname(__file__), ""))
OWN_FOLDERS.append(os.path.join(os.path.dirname(transforms.__file__), ""))


class ConversionError(D2SError):
    """A function could not be made static and `full_graph=True` forbids running it in eager.

    `code` is one of those in docs/errors.md; `location` is the line (a text, file:line), `function` the name of the
    function, `reason` why and `remedy` what to change.
    """

    def __init__(self, function: str, location: str, code: str, reason: str, remedy: str = ""):
        advice = f"; {remedy}" if remedy else ""
        super().__init__(f"{location}: {code}: {function} can't be made static: {reason}{advice}")
        self.function = function
        self.location = location
        self.code = code
        self.reason = reason
        self.remedy = remedy


class SourceError(CannotConvertError):
    """The source of a function or of a file can't be read, parsed or rewritten."""


class FallbackWarning(UserWarning):
    """A function could not be made static and runs in eager instead."""


__all__ = ["CaptureError", "ConversionError", "D2SError", "FallbackWarning", "LoadError", "SourceError"]

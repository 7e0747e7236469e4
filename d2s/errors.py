"""Every exception and warning that d2s raises, each a kind of D2SError or a Python warning."""

from d2s.runtime.errors import CannotConvertError, CaptureError, D2SError


class ConversionError(D2SError):
    """A function could not be made static and `full_graph=True` forbids running it in eager."""


class SourceError(CannotConvertError):
    """The source of a function or of a file can't be read, parsed or rewritten."""


class FallbackWarning(UserWarning):
    """A function could not be made static and runs in eager instead."""


__all__ = ["CaptureError", "ConversionError", "D2SError", "FallbackWarning", "SourceError"]

"""d2s: a source-to-source dynamic-to-static transpiler for PyTorch."""

from d2s.api import to_static
from d2s.errors import ConversionError, D2SError, FallbackWarning, SourceError

__all__ = ["ConversionError", "D2SError", "FallbackWarning", "SourceError", "to_static"]

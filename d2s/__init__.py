"""d2s: a source-to-source dynamic-to-static transpiler for PyTorch."""

from d2s.api import to_static
from d2s.errors import ConversionError, D2SError, FallbackWarning, SourceError
from d2s.input_spec import InputSpec

__all__ = ["ConversionError", "D2SError", "FallbackWarning", "InputSpec", "SourceError", "to_static"]

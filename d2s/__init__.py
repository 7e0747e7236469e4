"""d2s: a source-to-source dynamic-to-static transpiler for PyTorch."""

from d2s.api import to_static
from d2s.checking import check
from d2s.dynamic import to_dynamic, to_source
from d2s.errors import ConversionError, D2SError, FallbackWarning, LoadError, SourceError
from d2s.explanation import explain
from d2s.exporting import to_aoti, to_exported, to_onnx
from d2s.foreign import from_exported, from_torchscript
from d2s.input_spec import InputSpec
from d2s.logs import set_code_level, set_verbosity
from d2s.runtime.torch_internals.versions import __version__
from d2s.saving import load, save
from d2s.standalone import edit, from_fx, to_fx
from d2s.switches import enable_to_static, ignore_module, not_to_static

__all__ = [
    "ConversionError",
    "D2SError",
    "FallbackWarning",
    "InputSpec",
    "LoadError",
    "SourceError",
    "__version__",
    "check",
    "edit",
    "enable_to_static",
    "explain",
    "from_exported",
    "from_fx",
    "from_torchscript",
    "ignore_module",
    "load",
    "not_to_static",
    "save",
    "set_code_level",
    "set_verbosity",
    "to_aoti",
    "to_dynamic",
    "to_exported",
    "to_fx",
    "to_onnx",
    "to_source",
    "to_static",
]

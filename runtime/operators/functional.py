"""The operators for torch's function transforms: those that differentiate become gradients of the program."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import leaves_of, map_tree
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.calls import call
from d2s.runtime.recording.closures import stores
from d2s.runtime.recording.outputs import Outputs
from d2s.runtime.recording.recorder import active_recorder

# A Jacobian of more rows is refused: each is a gradient of its own.
_MOST_ROWS = 64


def _refused(what: str) -> CaptureError:
    return CaptureError("D2S405", f"{what} is not recorded", "call it outside of the static function")


def _entering(leaf: Any) -> Any:
    """An argument that a function is differentiated by: the same values at the start of a history of their own."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().requires_grad_()


def _tensors_seen(function: Any, args: Any) -> list[torch.Tensor]:
    """The tensors that a call can read: of its arguments, its own variables, and the modules among those."""
    variables = inspect.getclosurevars(function) if inspect.isfunction(function) else None
    seen = [*leaves_of(args), *([*variables.nonlocals.values(), *variables.globals.values()] if variables else [])]
    seen.append(getattr(function, "__self__", function))
    found = [leaf for leaf in leaves_of(seen) if isinstance(leaf, torch.Tensor)]
    return found + [p for module in seen if isinstance(module, torch.nn.Module) for p in module.parameters()]


class _Differentiated:
    """One call of a function that is to be differentiated by some of its arguments."""

    def __init__(self, function: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any):
        if torch.is_inference_mode_enabled():
            raise _refused("a transform that differentiates in inference mode")  # no history is kept there
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        numbers = tuple(number % len(args) for number in numbers)
        seen = _tensors_seen(function, (args, kwargs))
        self.goes_on = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in seen)
        with torch.enable_grad():
            given = [map_tree(_entering, arg) if n in numbers else arg for n, arg in enumerate(args)]
            answer = call(function)(*given, **kwargs)
        self.output: Any
        self.aux: Any
        self.output, self.aux = answer if has_aux else (answer, None)
        primals = tuple(given[number] for number in numbers)
        self.primals = primals[0] if isinstance(argnums, int) else primals

    def seen(self, thing: Any) -> Any:
        """What the caller gets to see of what the function gave."""
        return thing if self.goes_on else map_tree(_detached, thing)

    def gradients(self, output: Any, cotangent: Any = None) -> Any:
        """The gradients of one tensor by the arguments, in their form."""
        recorder = active_recorder()
        assert recorder is not None
        leaves = [leaf for leaf in leaves_of(self.primals) if isinstance(leaf, torch.Tensor)]
        options: dict[str, Any] = {"retain_graph": True, "create_graph": self.goes_on}
        if cotangent is not None:
            options["grad_outputs"] = cotangent
        if not recorder.broken_history:
            options["materialize_grads"] = True
        found = iter(torch.autograd.grad(output, leaves, **options))
        return map_tree(lambda leaf: next(found) if isinstance(leaf, torch.Tensor) else leaf, self.primals)


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, torch.Tensor) else leaf


class Transformed:
    """What a transform gives of a function, while recording."""

    def __init__(self, original: Any, function: Any, options: dict[str, Any], run: Callable[..., Any]):
        self._original = original
        self._function = function
        self._options = options
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def native(self) -> Any:
        """What torch's own transform gives."""
        return transformed_by(self._original, native(self._function), self._options)

    def output(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What the program calls, and with what, to hand it on."""
        return transformed_by, (self._original, self._function, self._options)


def transformed_by(original: Any, function: Any, options: dict[str, Any]) -> Any:
    """`original(function, **options)`, for a transform of torch's."""
    return original(function, **options)


def native(function: Any) -> Any:
    """A function as it is in eager."""
    return function.native() if type(function) is Transformed else function


def _transform(original: Any) -> Callable[[Any], Callable[..., Any]]:
    """Register what takes the place of a transform while recording: `answer(differentiated)` of each call."""

    def register(answer: Callable[[_Differentiated], Any]) -> Callable[..., Any]:
        def transform(function: Any, argnums: Any = 0, has_aux: bool = False, **options: Any) -> Any:
            if active_recorder() is None:
                return original(function, argnums, has_aux=has_aux, **options)
            if options:
                raise _refused(f"{original.__name__} with {', '.join(options)}")

            def run(*args: Any, **kwargs: Any) -> Any:
                made = _Differentiated(function, argnums, has_aux, args, kwargs)
                found = answer(made)
                return (found, made.seen(made.aux)) if has_aux else found

            return Transformed(original, function, {"argnums": argnums, "has_aux": has_aux}, run)

        REPLACEMENTS[original] = transform
        return transform

    return register


@_transform(torch.func.grad)
def grad(made: _Differentiated) -> Any:
    """The gradients of the function's answer."""
    return made.gradients(made.output)


@_transform(torch.func.jacrev)
def jacrev(made: _Differentiated) -> Any:
    """The gradients of each element of the function's answer, in one tensor."""
    output = made.output
    if not isinstance(output, torch.Tensor) or not isinstance(made.primals, torch.Tensor):
        raise _refused("a Jacobian of more than one tensor")
    rows = output.numel()
    if not isinstance(rows, int) or not 0 < rows <= _MOST_ROWS:
        raise _refused(f"a Jacobian of {rows} rows")
    flat = output.reshape(-1)
    found = [made.gradients(flat[row]) for row in range(rows)]
    return torch.stack(found).reshape(output.shape + made.primals.shape)


def grad_and_value(function: Any, argnums: Any = 0, has_aux: bool = False) -> Any:
    """`torch.func.grad_and_value`."""
    if active_recorder() is None:
        return torch.func.grad_and_value(function, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        made = _Differentiated(function, argnums, has_aux, args, kwargs)
        value = made.seen((made.output, made.aux) if has_aux else made.output)
        return made.gradients(made.output), value

    options = {"argnums": argnums, "has_aux": has_aux}
    return Transformed(torch.func.grad_and_value, function, options, run)


def hessian(function: Any, argnums: Any = 0) -> Any:
    """`torch.func.hessian`: here by two passes backward."""
    if active_recorder() is None:
        return torch.func.hessian(function, argnums)
    return Transformed(torch.func.hessian, function, {"argnums": argnums}, jacrev(jacrev(function, argnums), argnums))


def vjp(function: Any, *primals: Any, has_aux: bool = False) -> Any:
    """`torch.func.vjp`."""
    if active_recorder() is None:
        return torch.func.vjp(function, *primals, has_aux=has_aux)
    made = _Differentiated(function, tuple(range(len(primals))), has_aux, primals, {})
    if not isinstance(made.output, torch.Tensor):
        raise _refused("vjp of more than one tensor")

    def pulled_back(cotangent: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        return made.gradients(made.output, cotangent)

    answer = made.seen(made.output), pulled_back
    return (*answer, made.seen(made.aux)) if has_aux else answer


def called_transformed(original: Any, function: Any, options: dict[str, Any], args: Any, kwargs: Any) -> Any:
    """`original(function, **options)(*args, **kwargs)`, for a transform of torch's."""
    return transformed_by(original, function, options)(*args, **kwargs)


def pushed_forward(original: Any, function: Any, options: dict[str, Any], args: Any, kwargs: Any) -> Any:
    """`original(function, *args, **kwargs, **options)`, for a transform that calls at once."""
    return original(function, *args, **kwargs, **options)


def _as_it_is(
    target: Any, original: Any, function: Any, options: dict[str, Any], args: Any, kwargs: dict[str, Any]
) -> Any:
    """Record one call that runs the function itself, which no value of a tensor may lead this way or that."""
    recorder = active_recorder()
    assert recorder is not None
    _check_pure(function)
    given = original, Outputs(recorder).tree(function), options, args, kwargs
    tried = original, native(function), options, args, kwargs
    with recorder.world.taking_real_tensors(), recorder.suspended():
        return recorder.record(target, given, {}, tried, opaque=True)


def _tried(original: Any) -> Callable[..., Any]:
    """What takes the place of a transform whose result is called as it is."""
    signature = inspect.signature(original)
    first = next(iter(signature.parameters))

    def transform(*args: Any, **kwargs: Any) -> Any:
        if active_recorder() is None:
            return original(*args, **kwargs)
        options = dict(signature.bind(*args, **kwargs).arguments)
        function = options.pop(first)

        def run(*args: Any, **kwargs: Any) -> Any:
            return _as_it_is(called_transformed, original, function, options, args, kwargs)

        return Transformed(original, function, options, run)

    return transform


def jvp(function: Any, primals: Any, tangents: Any, **options: Any) -> Any:
    """`torch.func.jvp`."""
    if active_recorder() is None:
        return torch.func.jvp(function, primals, tangents, **options)
    return _as_it_is(pushed_forward, torch.func.jvp, function, options, (primals, tangents), {})


def linearize(function: Any, *primals: Any) -> Any:
    """`torch.func.linearize`, which traces by itself."""
    if active_recorder() is not None:
        raise _refused("torch.func.linearize")
    return torch.func.linearize(function, *primals)


def _check_pure(function: Any) -> None:
    """Go on only if a function changes no variable but its own, and no attribute.

    Raises:
        CaptureError: it may: what it does while it is tried on fakes could not be undone.
    """
    code = getattr(function, "__code__", None)
    if code is not None and (any(stores(code)) or any(op.opname in _CHANGES for op in dis.get_instructions(code))):
        raise _refused(f"a transform of {function.__name__}, which changes what outlives it,")


_CHANGES = ("STORE_ATTR", "DELETE_ATTR")

REPLACEMENTS.update(
    {
        **{original: _tried(original) for original in (torch.vmap, torch.func.jacfwd)},
        torch.func.jvp: jvp,
        torch.func.grad_and_value: grad_and_value,
        torch.func.hessian: hessian,
        torch.func.linearize: linearize,
        torch.func.vjp: vjp,
    }
)

"""Every private name of torch that d2s uses, in one place. Tested with torch 2.13.0."""

from __future__ import annotations

import copy
import itertools
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._dynamo.guards import TensorGuards
from torch._guards import TracingContext, tracing
from torch._higher_order_ops.map import map as map_
from torch._higher_order_ops.while_loop import while_loop
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import (
    SYMPY_INTERP,
    DimDynamic,
    GuardOnDataDependentSymNode,
    ShapeEnv,
    StatelessSymbolicContext,
    statically_known_true,
)
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from d2s.runtime.ir.modes import Autocast, Modes

# What `torch.no_grad` and `torch.set_grad_enabled` call to switch.
set_grad_enabled = torch._C._set_grad_enabled

# Whether autocast is on for any device: quicker to ask than for each.
any_autocast = torch._C._is_any_autocast_enabled

# An operator of exported graphs.
OpOverload = torch._ops.OpOverload

# The operators of graphs that stand for control flow.
cond_op = torch.ops.higher_order.cond
while_loop_op = torch.ops.higher_order.while_loop

# Forms of control flow that torch has no public name for.
HIGHER_ORDER = {"while_loop": while_loop, "map": map_}

# What torch raises where an answer needs data that a fake tensor does not have.
FAKE_ERRORS = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
    GuardOnDataDependentSymNode,
)


def is_profiling(function: Any) -> bool:
    """Whether a function only tells torch's profiler something."""
    return getattr(function, "__module__", None) == "torch._ops.profiler"


def tensor_check(
    tensors: list[torch.Tensor], shapes: list[tuple[int | None, ...]], strides: list[tuple[int, ...] | None]
) -> Callable[..., bool]:
    """Whether as many tensors are of the same class, dtype, shape, strides, device and `requires_grad` as these.

    None in one of the `shapes` is a size that may differ, None among the `strides` is those of a tensor that may.
    """
    sizes: list[Any] = [list(shape) for shape in shapes]
    steps: list[Any] = [
        [None] * len(shape) if stride is None else list(stride) for shape, stride in zip(shapes, strides, strict=True)
    ]
    check: Callable[..., bool] = TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=steps).check
    return check


class FakeWorld:
    """Tensors without data, and the symbols that stand for sizes and numbers not known yet."""

    def __init__(self) -> None:
        self.shape_env = ShapeEnv()
        self.mode = FakeTensorMode(shape_env=self.shape_env)

    @contextmanager
    def taking_real_tensors(self) -> Iterator[None]:
        """While code is tried that reads real tensors, of which fakes are made on the way."""
        before, self.mode.allow_non_fake_inputs = self.mode.allow_non_fake_inputs, True
        try:
            yield
        finally:
            self.mode.allow_non_fake_inputs = before

    def fake(self, tensor: torch.Tensor, unknown: Collection[int] = ()) -> torch.Tensor:
        """A fake that stands for a real tensor: same type and autograd role.

        If all dimensions are known, it is also a view of the same structure. Those that are `unknown` are for a
        tensor that is contiguous.
        """
        with without_recording(), torch.inference_mode(tensor.is_inference()):
            if not unknown:
                return forget_constant(self.mode.from_tensor(tensor, static_shapes=True))
            shape = [None if dimension in unknown else size for dimension, size in enumerate(tensor.shape)]
            if not tensor.is_leaf:
                return self.empty(tensor.dtype, shape, tensor.device, True)
            return self.empty(tensor.dtype, shape, tensor.device, False).requires_grad_(tensor.requires_grad)

    def empty(self, dtype: torch.dtype, shape: Any, device: torch.device, requires_grad: bool) -> torch.Tensor:
        """A fake tensor of which nothing else is known; None in `shape` is an unknown size.

        One that requires grad is the result of a computation, not a leaf.
        """
        with without_recording(), torch.enable_grad():
            sizes = [self._unknown_size() if size is None else size for size in shape]
            fake = torch.empty(sizes, dtype=dtype, device=device, requires_grad=requires_grad)
            return fake.clone() if requires_grad else fake

    def known_sizes(self, tensor: torch.Tensor, size_of: Callable[[Any], int]) -> list[int]:
        """The sizes of a fake tensor, if the symbols in them have the values that `size_of` gives."""
        with without_recording():
            return [size if type(size) is int else self.with_values(size.node, size_of) for size in tensor.shape]

    def with_sizes(self, tensor: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        """A fake tensor like this one, of these sizes."""
        with without_recording(), torch.enable_grad():
            made = torch.empty(sizes, dtype=tensor.dtype, device=tensor.device, requires_grad=tensor.requires_grad)
            return made if tensor.is_leaf or not tensor.requires_grad else made.clone()

    def with_values(self, node: Any, value_of: Callable[[Any], int]) -> int:
        """The number that a symbolic node stands for, if the symbols in it have these values."""
        expression = self.shape_env.replace(node.expr)
        symbols = sorted(expression.free_symbols, key=str)
        return int(expression.subs({symbol: value_of(symbol) for symbol in symbols}))

    @property
    def assumed(self) -> int:
        """How many unknown sizes were found to be equal to others so far."""
        return len(self.shape_env.replacements)

    def labels(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        """The sizes of a fake: numbers, and texts for the unknown, the same where they are taken to be equal."""
        with without_recording():
            return tuple(size if type(size) is int else self._label(size) for size in tensor.shape)

    def _label(self, size: Any) -> int | str:
        expression = self.shape_env.replace(size.node.expr)
        return int(expression) if expression.is_number else str(expression)

    def has_size(self, tensor: torch.Tensor, dimension: int, size: int) -> bool | None:
        """Whether a dimension of a fake has this size, None if that is not known."""
        with without_recording():
            found = tensor.shape[dimension]
            if statically_known_true(found == size):
                return True
            return False if statically_known_true(found != size) else None

    def learn_size(self, tensor: torch.Tensor, dimension: int, size: int, equal: bool) -> None:
        """From now on a dimension of a fake is known to have a size, or to have another."""
        with without_recording():
            found = tensor.shape[dimension]
            torch._check(found == size if equal else found != size)

    def _unknown_size(self) -> Any:
        size = self.shape_env.create_unbacked_symint()
        torch._check(size >= 0)
        return size

    def fresh_node(self, kind: type) -> Any:
        """A symbolic node for a number of which nothing is known."""
        make = {
            int: self.shape_env.create_unbacked_symint,
            float: self.shape_env.create_unbacked_symfloat,
            bool: self.shape_env.create_unbacked_symbool,
        }
        return make[kind]().node


def autocast_dtypes() -> dict[str, torch.dtype]:
    """The dtype for each device on which autocast is on."""
    on = [device for device in AUTOCAST_DEVICES if torch.is_autocast_enabled(device)]
    return {device: torch.get_autocast_dtype(device) for device in on}


def modes() -> Modes:
    """The modes of torch now; what autocast was entered before is taken as entered once a device."""
    autocast = tuple(Autocast(device, dtype) for device, dtype in autocast_dtypes().items())
    return Modes(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast, torch.get_default_dtype())


# The globals of torch's own module of modules that hold the hooks of all modules.
GLOBAL_HOOK_TABLES = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)
# Where a module finds the class of the object that calls its backward hooks.
MODULE_BACKWARD_HOOK = (torch.nn.modules.module, "BackwardHook")


def module_backward_hook(module: Any) -> Any:
    """The object that calls the full backward hooks of one call of a module."""
    return torch.utils.hooks.BackwardHook(module, module._get_backward_hooks()[0], module._get_backward_pre_hooks())


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Another attribute in place of that of a class or module, meanwhile."""
    own = name in vars(owner)
    original = vars(owner)[name] if own else None
    setattr(owner, name, new)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


def fakes_list_as_tensors() -> AbstractContextManager[None]:
    """Have `tolist` of a fake be that of all tensors, which modes see."""
    return replaced(FakeTensor, "tolist", torch.Tensor.tolist)


@contextmanager
def watching_autocast(entered: Callable[[Autocast], None], left: Callable[[], object]) -> Iterator[None]:
    """Tell of each `torch.autocast` that is entered and left meanwhile."""
    enter, leave = torch.autocast.__enter__, torch.autocast.__exit__
    numbers = itertools.count(1)

    def watched_enter(self: Any) -> Any:
        answer = enter(self)
        entered(Autocast(self.device, self.fast_dtype, self._enabled, self._cache_enabled, next(numbers)))
        return answer

    def watched_leave(self: Any, *exception: Any) -> Any:
        left()
        return leave(self, *exception)

    with replaced(torch.autocast, "__enter__", watched_enter), replaced(torch.autocast, "__exit__", watched_leave):
        yield


AUTOCAST_DEVICES = ("cpu", "cuda")


def symbolic_kind(thing: object) -> type | None:
    """int, float or bool for one of torch's symbolic numbers, None for anything else."""
    kinds = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}
    return kinds.get(type(thing))


def known_shape(tensor: torch.Tensor) -> tuple[int | None, ...]:
    """The shape of a fake tensor, None for each size that is unknown."""
    with without_recording():
        return tuple(size if type(size) is int else None for size in tensor.shape)


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor has no data."""
    return isinstance(tensor, FakeTensor)


def forget_constant(tensor: torch.Tensor) -> torch.Tensor:
    """The same fake tensor, without the known contents that torch keeps for `torch.tensor(3)`.

    Both sides of a branch may write to it, so what torch believes is its content is not.
    """
    if isinstance(tensor, FakeTensor):
        tensor.constant = None
    return tensor


def without_recording() -> Any:
    """A context in which no torch-function mode sees what is asked of a tensor."""
    return torch._C.DisableTorchFunction()


@contextmanager
def without_logs_of_fakes() -> Iterator[None]:
    """Torch logs each error that a call of the user's raises on fakes; the user is told once, by the error itself."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def is_transforming() -> bool:
    """Whether tensors stand for others: in a transform such as vmap, a mode such as that of fakes, or a trace."""
    return (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._is_tracing()
    )


def is_watched() -> bool:
    """Whether anything else takes part in what torch computes, such as gradients that go forward."""
    return is_transforming() or forward_ad._current_level >= 0 or torch._C._len_torch_function_stack() > 0


@contextmanager
def without_modes() -> Iterator[None]:
    """What is asked of torch inside is done, not recorded and not done on fakes."""
    with _disable_current_modes(), without_recording():
        yield


def real_zeros(fake: torch.Tensor) -> torch.Tensor:
    """A tensor with data of the type, strides and autograd role of a fake, or a view of one; its numbers are zero.

    Raises:
        Exception: a size is unknown.
    """
    with torch.inference_mode(fake.is_inference()), torch.enable_grad():
        if fake._base is not None:
            return real_zeros(fake._base).as_strided(fake.shape, fake.stride(), fake.storage_offset())
        made = torch.empty_strided(tuple(fake.shape), fake.stride(), dtype=fake.dtype, device=fake.device)
        made.zero_().requires_grad_(fake.requires_grad)
        return made if fake.is_leaf else made.clone()


def storage_key(tensor: torch.Tensor) -> int | None:
    """Equal for tensors that share memory; None where a layout has no storage."""
    try:
        with without_recording():
            return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None


class EffectsWatch(TorchDispatchMode):
    """Notices what the operators that run do: whether they draw from a generator, and what memory they write.

    `written` is by `storage_key`. It serves for tensors of inference mode, which count no versions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.drew = False
        self.written: set[int | None] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.drew |= torch.Tag.nondeterministic_seeded in func.tags and not _drops_nothing(func, args, kwargs)
        if torch.is_inference_mode_enabled():
            for argument, given in _arguments(func, args, kwargs):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self.written |= {storage_key(item) for item in (given if isinstance(given, list) else [given])}
        if func in _NORMALISING:
            self.written |= {storage_key(one) for one in _statistics(func, args, kwargs) if one is not None}
        return func(*args, **kwargs)


# These write running statistics, which neither their schemas nor the versions of the tensors tell.
_NORMALISING = (torch.ops.aten.native_batch_norm.default, torch.ops.aten.cudnn_batch_norm.default)


def _statistics(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The tensors that a normalisation updates."""
    given = {argument.name: value for argument, value in _arguments(func, args, kwargs)}
    return [given["running_mean"], given["running_var"]] if given["training"] else []


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The arguments of an operator's schema, with what it is given for them."""
    for position, argument in enumerate(func._schema.arguments):
        yield argument, args[position] if position < len(args) else kwargs.get(argument.name, argument.default_value)


def _drops_nothing(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator has dropout inside, which it is told to leave out: attention draws only for that."""
    return any(argument.name == "dropout_p" and given == 0 for argument, given in _arguments(func, args, kwargs))


def version(tensor: torch.Tensor) -> int:
    """How often a tensor was written, 0 where that is not counted."""
    return 0 if tensor.is_inference() else tensor._version


# ------------------------------------------------------------------ TorchScript

# The dtypes by the numbers that TorchScript has for them.
DTYPES_BY_NUMBER: dict[int, torch.dtype] = dict(
    enumerate(
        (
            *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32),
            *(torch.float64, torch.complex32, torch.complex64, torch.complex128, torch.bool),
        )
    )
) | {15: torch.bfloat16}


def script_method(script: Any, name: str) -> Any:
    """A method of a module of TorchScript, with its `graph` and `schema`."""
    return script._c._get_method(name)


def schema_of(node: Any) -> Any:
    """The schema of the operator of a node of TorchScript; None for a node that is none."""
    text = node.schema()
    return None if text.startswith("(") else torch._C.parse_schema(text)


def inlined_call(node: Any) -> Any:
    """A graph of TorchScript that is what a node that calls a function does; its inputs are those of the call."""
    graph = torch._C.Graph()
    function, *arguments = node.inputs()
    clones = {
        function.debugName(): graph.insertNode(graph.createClone(function.node(), lambda value: value)).output()
    }
    for argument in arguments:
        clones[argument.debugName()] = made = graph.addInput()
        made.setType(argument.type())
    call = graph.insertNode(graph.createClone(node, lambda value: clones[value.debugName()]))
    for output in call.outputs():
        graph.registerOutput(output)
    torch._C._jit_pass_inline(graph)
    return graph


@dataclass(frozen=True)
class TracedGraph:
    """A graph of ATen operators, and the fake tensors of a mode that it was traced for."""

    module: torch.fx.GraphModule
    mode: FakeTensorMode
    inputs: Sequence[torch.Tensor]

    def guards(self) -> str:
        """An expression that says whether the graph is right for inputs, which differ in sizes that were left free.

        It is known when all is done that may assume something of them, such as to compile it.
        """
        assert self.mode.shape_env is not None
        return self.mode.shape_env.produce_guards_expression(self.inputs) or ""

    def without_constants(self) -> tuple[TracedGraph, list[torch.Tensor]]:
        """The same graph with the tensors that it holds as further inputs, and these."""
        module = copy.deepcopy(self.module)
        held = [node for node in module.graph.find_nodes(op="get_attr") if _is_held(module, node)]
        constants = [getattr(module, node.target) for node in held]
        inputs = [*self.inputs, *(_symbolic(self.mode, one, tuple(one.shape)) for one in constants)]
        first = next(node for node in module.graph.nodes if node.op != "placeholder" and node not in held)
        for place, node in enumerate(held, len(self.inputs)):
            with module.graph.inserting_before(first):
                new = module.graph.placeholder(f"constant_{place}")
            new.meta["val"] = inputs[place]
            node.replace_all_uses_with(new)
            module.graph.erase_node(node)
        module.recompile()
        return TracedGraph(module, self.mode, inputs), constants

    def text(self) -> str:
        """The graph and all that is in it as a text: equal texts are equal graphs."""
        parts = [f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()} {_INDUCTOR}"]
        for name, module in self.module.named_modules():
            if isinstance(module, torch.fx.GraphModule):
                parts.append(f"{name}: {module.code}")
                parts += [f"{node}: {_described(node.meta.get('val'))}" for node in module.graph.nodes]
        return "\n".join(parts)


def _is_held(module: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    return isinstance(getattr(module, str(node.target)), torch.Tensor)


def _described(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return str(value)
    return f"{value.dtype} {tuple(value.shape)} {value.stride()} {value.device}"


def sizes_fit(guards: str) -> Callable[[Sequence[torch.Tensor]], bool]:
    """What tells of inputs whether they are as `TracedGraph.guards` say."""
    if not guards:
        return lambda inputs: True
    code = compile(guards, "<guards of sizes>", "eval")
    return lambda inputs: bool(eval(code, SYMPY_INTERP, {"L": {f"t{n}": one for n, one in enumerate(inputs)}}))


def traced_graph(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], shapes: Sequence[tuple[int | None, ...]]
) -> TracedGraph:
    """The graph of a function for tensors like these; None in a shape is a size that stays free.

    It is traced without gradients, but where the function turns them on.
    """
    mode = FakeTensorMode(shape_env=ShapeEnv())
    with without_recording():
        fakes = [_symbolic(mode, tensor, shape) for tensor, shape in zip(inputs, shapes, strict=True)]
        with mode, torch.no_grad():
            return TracedGraph(make_fx(function)(*fakes), mode, fakes)


def _symbolic(mode: FakeTensorMode, tensor: torch.Tensor, shape: tuple[int | None, ...]) -> torch.Tensor:
    sizes = [DimDynamic.DYNAMIC if size is None else DimDynamic.STATIC for size in shape]
    return mode.from_tensor(tensor.detach(), symbolic_context=StatelessSymbolicContext(sizes))


# How Inductor is set for graphs with loops and branches.
_INDUCTOR = {
    "fallback_random": True,
    # What a loop without trips gives is in the memory of what it starts with. Inductor does not know: with its
    # wrapper in C++ it would write something else there.
    "allow_buffer_reuse": False,
    "inplace_buffers": False,
    # This pass moves reads of a sum in a branch to before the sum is made.
    "reorder_for_locality": False,
}


def write_graph(graph: TracedGraph, inputs: Sequence[torch.Tensor], path: str) -> None:
    """Write a graph, compiled without gradients, as a package; the path has to end in `.pt2`."""
    # Not at the top: Inductor takes a second to import, and most programs run without it.
    from torch._inductor import aot_compile
    from torch._inductor.package import package_aoti

    with torch.no_grad():
        files: Any = aot_compile(graph.module, tuple(inputs), options={"aot_inductor.package": True, **_INDUCTOR})
    package_aoti(path, files)


def compiled_graph(graph: TracedGraph) -> Callable[..., Any]:
    """A graph, compiled without gradients for this process; it takes operators that packages don't, as of complex."""
    from torch._inductor import config, standalone_compile

    # It warns that artefacts of graphs with control flow can't be saved.
    logging.getLogger("torch._inductor.standalone_compile").setLevel(logging.ERROR)
    context = tracing(TracingContext(graph.mode))
    with config.patch({"cpp_wrapper": True, **_INDUCTOR}), context, torch.no_grad():
        return standalone_compile(graph.module, list(graph.inputs), dynamic_shapes="from_tracing_context")


def loaded_graph(path: str) -> Callable[..., Sequence[torch.Tensor]]:
    """A compiled graph as a function of its inputs, from a package."""
    loader = torch._C._aoti.AOTIModelPackageLoader(path, "model", False, 1, -1)
    return lambda *inputs: loader.boxed_run(list(inputs))


def write_package(program: torch.export.ExportedProgram, path: str) -> None:
    """Write an exported program, compiled, as an AOTInductor package; the path has to end in `.pt2`."""
    from torch._inductor import aoti_compile_and_package

    with torch.no_grad():
        aoti_compile_and_package(program, package_path=path, inductor_configs=_INDUCTOR)


def onnx_model(program: torch.export.ExportedProgram, outputs: Sequence[str]) -> Any:
    """An exported program as a model of ONNX, an `onnx.ModelProto`, with names for its outputs."""
    from onnx_ir import DataType
    from onnxscript import opset18 as op
    from torch.onnx._internal.exporter import _core
    from torch.onnx._internal.exporter._torchlib.ops import hop

    def while_loop(*args: Any) -> Any:
        """torch's translation; it calls the test of a loop in a version that functions in functions don't know."""
        made = hop.higher_order_while_loop(*args)
        for node in _core.current_tracer.nodes:
            if node.domain.startswith("pkg.torch.__subgraph__"):
                node.version = 1
        return made

    def where(condition: Any, left: Any, right: Any) -> Any:
        """torch's translation, but for bools, for which onnxruntime has no such operator."""
        if left.dtype != DataType.BOOL:
            return op.Where(condition, left, right)
        return op.Or(op.And(condition, left), op.And(op.Not(condition), right))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            output_names=list(outputs),
            custom_translation_table={while_loop_op: while_loop, torch.ops.aten.where.self: where},
        )
    assert made is not None
    return made.model_proto


class DispatchState:
    """Which keys torch dispatches on in this thread, to be had again further in: operators hide autograd's."""

    def __init__(self) -> None:
        self._keys = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()

    def entered(self) -> AbstractContextManager[object]:
        """A context in which they are as they were."""
        return torch._C._ForceDispatchKeyGuard(*self._keys)

"""Graphs of ATen operators, and what compiles, writes and loads them."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._guards import TracingContext, tracing
from torch._higher_order_ops.map import map as map_
from torch._higher_order_ops.while_loop import while_loop
from torch._subclasses.fake_tensor import (
    FakeTensorMode,
)
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import (
    SYMPY_INTERP,
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)

from d2s.runtime.torch_internals.modes import without_recording

# An operator of exported graphs.
OpOverload = torch._ops.OpOverload


# The operators of graphs that stand for control flow.
cond_op = torch.ops.higher_order.cond


while_loop_op = torch.ops.higher_order.while_loop


# Forms of control flow that torch has no public name for.
HIGHER_ORDER = {"while_loop": while_loop, "map": map_}


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


def _power(base: Any, exponent: torch.Tensor) -> torch.Tensor:
    made = torch.result_type(base, exponent)
    return torch.pow(torch.full((), base, dtype=made, device=exponent.device), exponent.to(made))


# The wrapper in C++ hands the number to this kernel as a float: the result would be one.
_DECOMPOSED = {torch.ops.aten.pow.Scalar: _power}


def traced_graph(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], shapes: Sequence[tuple[int | None, ...]]
) -> TracedGraph:
    """The graph of a function for tensors like these; None in a shape is a size that stays free.

    It is traced without gradients, but where the function turns them on.
    """
    from torch._inductor import config

    mode = FakeTensorMode(shape_env=ShapeEnv())
    with without_recording():
        fakes = [_symbolic(mode, tensor, shape) for tensor, shape in zip(inputs, shapes, strict=True)]
        with mode, torch.no_grad(), config.patch(_ROUNDING):
            return TracedGraph(make_fx(function, _DECOMPOSED)(*fakes), mode, fakes)


def _symbolic(mode: FakeTensorMode, tensor: torch.Tensor, shape: tuple[int | None, ...]) -> torch.Tensor:
    sizes = [DimDynamic.DYNAMIC if size is None else DimDynamic.STATIC for size in shape]
    return mode.from_tensor(tensor.detach(), symbolic_context=StatelessSymbolicContext(sizes))


# Each operator rounds to half precision, as in eager, and not only the last of those that are computed together.
# Which those are is noted in tracing.
_ROUNDING = {"emulate_precision_casts": True}

# How Inductor is set for graphs with loops and branches.
_INDUCTOR = {
    "fallback_random": True,
    # What a loop without trips gives is in the memory of what it starts with. Inductor does not know: with its
    # wrapper in C++ it would write something else there.
    "allow_buffer_reuse": False,
    "inplace_buffers": False,
    # This pass moves reads of a sum in a branch to before the sum is made.
    "reorder_for_locality": False,
    **_ROUNDING,
}


def write_graph(graph: TracedGraph, path: str) -> None:
    """Write a graph, compiled without gradients, as a package; the path has to end in `.pt2`."""
    # Not at the top: Inductor takes a second to import, and most programs run without it.
    from torch._inductor import aot_compile
    from torch._inductor.package import package_aoti

    with torch.no_grad():
        files: Any = aot_compile(
            graph.module, tuple(graph.inputs), options={"aot_inductor.package": True, **_INDUCTOR}
        )
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

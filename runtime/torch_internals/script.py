"""The parts of TorchScript that its programs are read by."""

from __future__ import annotations

from typing import Any

import torch

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

"""Says of a call whether it may run once instead of twice, earlier, or not at all, and nobody can tell."""

from __future__ import annotations

from d2s.runtime.ir.names import is_in_place, qualified_name
from d2s.runtime.ir.program import Call, TensorType, Value
from d2s.runtime.passes.memory import Memory, is_constant_type

# Where functions of their arguments alone are, but for those that look at the state of an object.
_PLACES = ("torch.", "operator.", "math.")
_STATEFUL = frozenset(
    """torch.Tensor.grad.__get__ torch.Tensor.grad_fn.__get__ torch.Tensor.requires_grad.__get__ torch.is_grad_enabled
    torch.Tensor.is_leaf.__get__ torch.Tensor._version.__get__ torch.get_default_dtype
    torch.Tensor.retains_grad.__get__ torch.initial_seed torch.get_rng_state torch.Tensor.data_ptr""".split()
)
# What gives an answer for all values of tensors whose types fit, as the recording has seen that they do.
_TOTAL = frozenset(
    """abs add addcmul addmm all amax amin any argmax argmin atan baddbmm bitwise_and bitwise_not bitwise_or bmm bool
    broadcast_to cat ceil chunk clamp clone contiguous cos cosh cumsum detach div double dropout elu eq erf exp
    expand eye flatten flip float floor full full_like ge gelu gru_cell gt half int isfinite isinf isnan layer_norm
    le leaky_relu linear log log1p log_softmax logaddexp logical_and logical_not logical_or logsumexp long lstm_cell
    lt matmul max maximum mean min minimum mm mul movedim mv narrow_copy ne neg new_full new_ones new_zeros norm ones
    ones_like outer permute pow reciprocal relu relu6 reshape rnn_relu_cell rnn_tanh_cell roll round rsqrt rsub selu
    sigmoid sign silu sin sinh softmax softplus sqrt square squeeze stack std sub sum t tan tanh tile to transpose
    tril triu true_divide type_as unbind unflatten unsqueeze var view view_as where zeros zeros_like __eq__ __ne__
    __rsub__ __radd__ __rmul__ T.__get__ mT.__get__""".split()
)
_TOTAL_OF_NUMBERS = frozenset("add sub mul neg lt le gt ge eq ne and_ or_ not_ is_ is_not pos truth".split())


def depends_on_arguments_only(call: Call) -> bool:
    """Whether a call gives the same for the same, and does nothing else."""
    name = qualified_name(call.target) or ""
    known = name.startswith(_PLACES) and name not in _STATEFUL and not name.endswith(("__set__", "__delete__"))
    return known and call.effects.pure and not is_in_place(call.target)


def is_total(call: Call) -> bool:
    """Whether a call can't raise: it may run where it did not before, and need not where it did."""
    place, _, name = (qualified_name(call.target) or "").partition(".")
    if place == "operator":
        return name in _TOTAL_OF_NUMBERS and all(is_constant_type(value.type) for value in call.operands)
    if place != "torch" or not depends_on_arguments_only(call):
        return False
    tensors = [value for value in call.operands if isinstance(value.type, TensorType)]
    name = name.removeprefix("Tensor.").removeprefix("nn.functional.").removeprefix("special.")
    return name in _TOTAL and len(tensors) == len(call.operands) and all(_is_sized(value) for value in tensors)


def _is_sized(value: Value) -> bool:
    return isinstance(value.type, TensorType) and None not in value.type.shape


def has_gradients(call: Call) -> bool:
    """Whether gradients go through what a call gives: computed once instead of twice they would round otherwise."""
    return any(value.type.requires_grad for value in call.results if isinstance(value.type, TensorType))


def is_repeatable(call: Call, memory: Memory) -> bool:
    """Whether a call gives the same wherever it stands, and one result may stand for several."""
    if not depends_on_arguments_only(call):
        return False
    values = [*call.operands, *call.results]
    immutable = all(isinstance(one.type, TensorType) or is_constant_type(one.type) for one in values)
    return (
        immutable
        and not any(map(memory.is_written, call.operands))
        and all(is_constant_type(one.type) or memory.is_own(one) for one in call.results)
    )

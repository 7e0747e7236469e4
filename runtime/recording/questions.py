"""What a function can ask of a tensor that may make it another program: a program has the answer as a constant."""

from __future__ import annotations

from typing import Any

import torch

# Function of torch -> the kind of question: whether tensors ask for gradients, their dtypes, their devices.
QUESTIONS: dict[Any, str] = {
    **dict.fromkeys(
        (
            *(torch.Tensor.grad.__get__, torch.Tensor.grad.__set__, torch.Tensor.grad.__delete__),
            *(torch.Tensor.grad_fn.__get__, torch.Tensor.requires_grad.__get__, torch.Tensor.is_leaf.__get__),
            *(torch.Tensor.register_hook, torch.Tensor.register_post_accumulate_grad_hook),
            *(torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward),
        ),
        "gradients",
    ),
    **dict.fromkeys(
        (
            *(torch.Tensor.dtype.__get__, torch.Tensor.itemsize.__get__, torch.Tensor.nbytes.__get__),
            *(torch.Tensor.is_floating_point, torch.is_floating_point, torch.Tensor.is_complex, torch.is_complex),
            *(torch.Tensor.element_size, torch.Tensor.type, torch.result_type),
        ),
        "dtypes",
    ),
    **dict.fromkeys(
        (torch.Tensor.is_cuda.__get__, torch.Tensor.is_cpu.__get__, torch.Tensor.get_device, torch.get_device),
        "devices",
    ),
}
KINDS_OF_QUESTIONS = tuple(dict.fromkeys(QUESTIONS.values()))

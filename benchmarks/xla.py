"""The adaptive RNN in TensorFlow, compiled by XLA: a yardstick, when TensorFlow is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from adaptive_rnn import AdaptiveRNN
from torch.utils.dlpack import from_dlpack, to_dlpack


def adaptive_rnn(model: AdaptiveRNN) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """The model with its parameters of now.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    tf: Any = importlib.import_module("tensorflow")
    dlpack = tf.experimental.dlpack
    tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
    hidden, most = model.hidden, model.most
    weights = {name: tf.constant(value.detach().numpy()) for name, value in model.named_parameters()}

    def linear(x: Any, weight: str, bias: str) -> Any:
        return tf.linalg.matmul(x, weights[weight], transpose_b=True) + weights[bias]

    def cell(x: Any, h: Any) -> Any:
        """torch's GRUCell; its input's half is the same in each step, and XLA moves it out."""
        of_x = tf.split(linear(x, "cell.weight_ih", "cell.bias_ih"), 3, axis=1)
        of_h = tf.split(linear(h, "cell.weight_hh", "cell.bias_hh"), 3, axis=1)
        reset, update = (tf.sigmoid(a + b) for a, b in zip(of_x[:2], of_h[:2], strict=True))
        new = tf.tanh(of_x[2] + reset * of_h[2])
        return (1 - update) * new + update * h

    @tf.function(jit_compile=True)
    def run(x: Any, confidence: Any) -> tuple[Any, Any]:
        def test(h: Any, halted: Any, steps: Any) -> Any:
            return tf.logical_and(tf.reduce_min(halted) < confidence, steps < most)

        def body(h: Any, halted: Any, steps: Any) -> tuple[Any, Any, Any]:
            h = cell(x, h)
            p = tf.sigmoid(linear(h, "halt.weight", "halt.bias"))[:, 0]
            halted = halted + p * (1 - halted)
            h = tf.cond(tf.reduce_mean(p) < 0.45, lambda: h * 0.9, lambda: h)
            return h, halted, steps + 1

        start = (tf.zeros((x.shape[0], hidden)), tf.zeros(x.shape[0]), tf.constant(0, tf.int64))
        h, _, steps = tf.while_loop(test, body, start)
        return linear(h, "out.weight", "out.bias"), steps

    def call(x: torch.Tensor, confidence: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = [dlpack.from_dlpack(to_dlpack(one)) for one in (x, confidence)]
        output, steps = (from_dlpack(dlpack.to_dlpack(one)) for one in run(*given))
        return output, steps

    return call

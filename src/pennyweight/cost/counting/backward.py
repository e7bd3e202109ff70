"""Work of the backward pass of fused operators; linear layers and matrix products run the formulas of the forward."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from pennyweight.cost.counting.operators import SOFTMAX
from pennyweight.cost.counting.work import Arguments, Formula, Work

__all__ = ["BACKWARD"]


def _convolution(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the MACs of the forward, once for each gradient that autograd asks for: of the input, of the weights."""
    gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    places = x if transposed else gradient
    macs = places.numel() * prod(weight.shape[1:]) * (wanted[0] + wanted[1])
    return Work(macs, 2 * macs + (gradient.numel() if wanted[2] else 0))


def _attention(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of five matrix products: the scores again, and the gradients of q, k, v and of the scores."""
    q, k, v = args[1:4]
    scores = q.numel() // q.shape[-1] * int(k.shape[-2])
    macs = scores * (3 * int(q.shape[-1]) + 2 * int(v.shape[-1]))
    return Work(macs, 2 * macs + 2 * SOFTMAX * scores)


FUSED = ("flash_attention", "efficient_attention", "cudnn_attention", "flash_attention_for_cpu")
BACKWARD: Mapping[str, Formula] = {
    "convolution_backward": _convolution,
    **{f"_scaled_dot_product_{kind}_backward": _attention for kind in FUSED},
}
"""Base name of an operator -> formula."""

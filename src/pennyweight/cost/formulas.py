"""Multiply-accumulates of each operator, from the shapes it met. Biases are not counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

__all__ = ["FORMULAS", "NO_MACS"]

aten = torch.ops.aten


def _convolution(args: Sequence[Any], out: Tensor) -> int:
    """Kernel volume times channels of a group, for each output element; of a transposed one, for each input element."""
    x, weight, transposed = args[0], args[1], args[6]
    places = x if transposed else out
    return int(places.numel() * prod(weight.shape[1:]))


def _mm(args: Sequence[Any], out: Tensor) -> int:
    return out.numel() * int(args[0].shape[-1])


def _addmm(args: Sequence[Any], out: Tensor) -> int:
    return out.numel() * int(args[1].shape[-1])


FORMULAS: dict[Any, Callable[[Sequence[Any], Tensor], int]] = {
    aten.convolution: _convolution,
    aten.mm: _mm,
    aten.bmm: _mm,
    aten.addmm: _addmm,
    aten.baddbmm: _addmm,
}
"""Operator packet -> its multiply-accumulates, from its arguments and its result."""

NO_MACS = frozenset(
    {
        aten.native_batch_norm,
        aten._native_batch_norm_legit,
        aten._native_batch_norm_legit_no_training,
        aten.native_group_norm,
        aten.native_layer_norm,
        aten.native_dropout,
        aten.bernoulli_,
        aten.relu,
        aten.relu_,
        aten.hardtanh,
        aten.hardtanh_,
        aten.leaky_relu,
        aten.leaky_relu_,
        aten.gelu,
        aten.silu,
        aten.silu_,
        aten.sigmoid,
        aten.sigmoid_,
        aten._softmax,
        aten._safe_softmax,
        aten.add,
        aten.add_,
        aten.mul,
        aten.mul_,
        aten.div,
        aten.div_,
        aten.cat,
        aten.stack,
        aten.mean,
        aten._adaptive_avg_pool2d,
        aten.max_pool2d_with_indices,
        aten.avg_pool2d,
        aten.clone,
        aten.arange,
        aten.empty,
        aten.empty_like,
        aten.ones,
        aten.zeros,
        # Only how the same numbers are seen, nothing computed.
        aten.view,
        aten._unsafe_view,
        aten.reshape,
        aten.t,
        aten.transpose,
        aten.permute,
        aten.expand,
        aten.detach,
        aten.alias,
        aten.select,
        aten.slice,
        aten.split,
        aten.squeeze,
        aten.unbind,
        aten.unsqueeze,
    }
)
"""Operators that have no multiply-accumulates by the papers' convention (norms, activations, pooling, element-wise)."""

"""Outputs of the most common operators on the meta device, from shapes alone.

torch computes them with Python decompositions that would take most of a count's time. A rule returns NotImplemented
unless the call is plain; then torch computes the output, and raises errors for wrong arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pennyweight.cost.counting.meta_tensor import empty_meta

__all__ = ["INTEGER_KERNELS", "KERNELS"]

aten = torch.ops.aten

Rule = Callable[[Sequence[Any]], Any]


def _like(x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():
        return x.clone()  # on the meta device only shape and strides


def _same(args: Sequence[Any]) -> Tensor:
    return _like(args[0])


def _itself(args: Sequence[Any]) -> Tensor:
    x: Tensor = args[0]
    return x


def _batch_norm(x: Tensor, weight: Tensor | None, training: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return output and statistics as a CPU does: statistics in train mode only, in the weight's dtype."""
    channels, dtype = x.shape[1] if training else 0, x.dtype if weight is None else weight.dtype
    return _like(x), empty_meta((channels,), dtype), empty_meta((channels,), dtype)


def _batch_norm_backward(args: Sequence[Any]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    x, weight = args[1], args[2]
    scale, shift = (None if weight is None else _like(weight) for _ in range(2))
    return _like(x), scale, shift


def _convolution(args: Sequence[Any]) -> Any:
    """Return the output for a contiguous (B, C, H, W) image, a matching weight and no transposition."""
    x, weight, bias, stride, padding, dilation, transposed, _, groups = args
    plain = x.dim() == 4 and not transposed and len(stride) == len(padding) == len(dilation) == 2
    if not plain or not (x.is_contiguous() and weight.is_contiguous()) or x.dtype != weight.dtype:
        return NotImplemented
    c_out, c_in = weight.shape[:2]
    if c_in * groups != x.shape[1] or c_out % groups or min(padding) < 0 or not weight.is_meta:
        return NotImplemented
    if bias is not None and (bias.shape != (c_out,) or bias.dtype != x.dtype):
        return NotImplemented
    sides = [
        (side + 2 * pad - gap * (window - 1) - 1) // step + 1
        for side, window, step, pad, gap in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    return empty_meta((x.shape[0], c_out, *sides), x.dtype) if min(sides) > 0 else NotImplemented


def _together(args: Sequence[Any]) -> Any:
    """Return the output of two operands with equally many dimensions, such as an image and a 1×1 gate."""
    x, y = args[:2]
    if not isinstance(y, Tensor) or y.dim() != x.dim() or y.dtype != x.dtype or not y.is_meta:
        return NotImplemented
    if not (x.is_contiguous() and y.is_contiguous()):
        return NotImplemented
    if x.shape == y.shape:
        return _like(x)
    sides = tuple(zip(x.shape, y.shape, strict=True))
    fits = all(a == b or 1 in (a, b) for a, b in sides)
    return empty_meta([b if a == 1 else a for a, b in sides], x.dtype) if fits else NotImplemented


def _into(args: Sequence[Any]) -> Any:
    """Return the first operand of an in-place operation; the second must be a meta tensor of its shape and type."""
    x, y = args[:2]
    alike = isinstance(y, Tensor) and y.shape == x.shape and y.dtype == x.dtype and y.is_meta
    return x if alike else NotImplemented


def _scaled(args: Sequence[Any]) -> Any:
    """Return the first operand, scaled in place by a number, as stochastic depth does for surviving samples."""
    return args[0] if type(args[1]) in (int, float) else NotImplemented


def _drawn(args: Sequence[Any]) -> Any:
    """Return the first operand, filled with Bernoulli draws of a given probability."""
    return args[0] if all(type(chance) is float and 0 <= chance <= 1 for chance in args[1:]) else NotImplemented


def _raised(args: Sequence[Any]) -> Any:
    """Return the first operand, raised in place by an integer, as batch norms count their batches."""
    return args[0] if type(args[1]) is int else NotImplemented


def _mean(args: Sequence[Any]) -> Any:
    """Return the mean over the positions of an image, kept as 1×1."""
    if args[0].dim() == 4 and len(args) > 2 and sorted(d % 4 for d in args[1]) == [2, 3] and args[2]:
        return empty_meta((*args[0].shape[:2], 1, 1), args[0].dtype)
    return NotImplemented


KERNELS: dict[Any, Rule] = {
    aten.convolution: _convolution,
    aten.native_batch_norm: lambda args: _batch_norm(args[0], args[1], args[5]),
    aten._native_batch_norm_legit: lambda args: (
        _batch_norm(args[0], args[1], args[5]) if len(args) > 7 else NotImplemented
    ),
    aten._native_batch_norm_legit_no_training: lambda args: _batch_norm(args[0], args[1], False),
    aten.native_batch_norm_backward: _batch_norm_backward,
    aten.mean: _mean,
    aten.bernoulli_: _drawn,
    aten.div_: _scaled,
    **dict.fromkeys((aten.add, aten.mul), _together),
    **dict.fromkeys((aten.add_, aten.mul_), _into),
    **dict.fromkeys((aten.relu, aten.silu, aten.gelu, aten.sigmoid, aten.hardtanh, aten.hardswish), _same),
    **dict.fromkeys((aten.relu_, aten.silu_, aten.sigmoid_, aten.hardtanh_, aten.hardswish_), _itself),
}
"""Operator -> rule for a floating-point first operand; for integers, torch refuses or converts many of them."""

INTEGER_KERNELS: dict[Any, Rule] = {aten.add_: _raised}
"""Operator of `KERNELS` -> rule for an integer first operand."""

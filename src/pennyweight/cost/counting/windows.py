"""Work of pooling and antialiased resizing: positions under their windows, each window clipped to the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from torch import Tensor

from pennyweight.cost.counting.work import Arguments, Formula, Work

__all__ = ["WINDOWS"]

Sizes = Sequence[int]


def _pool(dimensions: int, *, dilated: bool = False) -> Formula:
    """Return a formula of one operation per position of the input under a window."""

    def work(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
        return Work(0, _pooled_places(args, _first(out), dimensions, dilated=dilated))

    return work


def _adaptive_pool(dimensions: int) -> Formula:
    """Return a formula for adaptive pooling over `dimensions` axes: one operation per input position in each window."""
    return lambda args, kwargs, out: Work(0, _adaptive_places(args[0], _first(out), dimensions))


def _fractional_pool(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return one operation per position for windows at random offsets, all inside the input."""
    return Work(0, _first(out).numel() * prod(args[1]))


def _antialiased(radius: int) -> Formula:
    """Return a formula of a multiplication and an addition per position under the resizing filter."""

    def work(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
        align_corners, *scales = args[2:]
        scales = [*scales, None, None][:2]
        return Work(0, 2 * _resized_places(args[0], out, scales, align_corners, radius))

    return work


def _first(out: Any) -> Tensor:
    """Return the pooled values; some operators return indices with them."""
    return out if isinstance(out, Tensor) else out[0]


def _pooled_places(args: Sequence[Any], out: Tensor, dimensions: int, *, dilated: bool) -> int:
    """Return the number of positions under all windows of a pooling operator, without its padding.

    `args` are input, window, stride, padding and, if `dilated`, dilation, in torch's order; each may be one number for
    all sides. A position under two windows counts twice.
    """
    window, stride, padding, dilation, *_ = (*args[1:], *(None,) * 4)
    rows = zip(
        args[0].shape[-dimensions:],
        out.shape[-dimensions:],
        _sides(window, dimensions),
        _sides(stride or window, dimensions),
        _sides(padding or 0, dimensions),
        _sides((dilated and dilation) or 1, dimensions),
        strict=True,
    )
    return _planes(out, dimensions) * prod(_clipped(*row) for row in rows)


def _adaptive_places(x: Tensor, out: Tensor, dimensions: int) -> int:
    """Return the number of positions under adaptive windows, ⌊i·n/m⌋ to ⌈(i+1)·n/m⌉, which may overlap."""
    sides = zip(x.shape[-dimensions:], out.shape[-dimensions:], strict=True)
    return _planes(out, dimensions) * prod(_shared_out(size, steps) for size, steps in sides)


def _resized_places(x: Tensor, out: Tensor, scales: Sequence[float | None], align_corners: bool, radius: int) -> int:
    """Return the number of positions weighed by antialiased resizing: width first, then height, as in torch.

    `radius` is that of the filter in positions of the smaller image: 1 for a triangle, 2 for a cubic.
    """
    (height, width), (rows, columns) = x.shape[-2:], out.shape[-2:]
    down, across = (
        _step(size, steps, scale, align_corners)
        for size, steps, scale in zip((height, width), (rows, columns), scales, strict=True)
    )
    along = 0 if width == columns else height * _weighed(width, columns, across, radius)
    return _planes(out, 2) * (along + (0 if height == rows else columns * _weighed(height, rows, down, radius)))


def _planes(out: Tensor, dimensions: int) -> int:
    return prod(out.shape[:-dimensions])


def _sides(value: Any, dimensions: int) -> Sizes:
    sides = [value] if isinstance(value, int) else list(value)
    return sides if len(sides) == dimensions else sides * dimensions


@lru_cache(maxsize=1024)
def _clipped(size: int, steps: int, window: int, stride: int, padding: int, dilation: int) -> int:
    """Sum the window positions inside the input along one side."""
    total = 0
    for begin in range(-padding, steps * stride - padding, stride):
        outside = -(-max(0, -begin) // dilation)
        total += max(0, min(window, (size - 1 - begin) // dilation + 1) - outside)
    return total


@lru_cache(maxsize=1024)
def _shared_out(size: int, steps: int) -> int:
    return sum(-(-(step + 1) * size // steps) - step * size // steps for step in range(steps))


def _step(size: int, steps: int, scale: float | None, align_corners: bool) -> float:
    """Return input positions per output position (ATen/native/UpSample.h)."""
    if align_corners:
        return (size - 1) / (steps - 1) if steps > 1 else 0.0
    return 1 / scale if scale else size / steps


@lru_cache(maxsize=1024)
def _weighed(size: int, steps: int, step: float, radius: int) -> int:
    support = radius * max(step, 1.0)
    centers = [step * (place + 0.5) for place in range(steps)]
    return sum(min(int(c + support + 0.5), size) - max(int(c - support + 0.5), 0) for c in centers)


WINDOWS: dict[str, Formula] = {
    **{f"max_pool{n}d_with_indices": _pool(n, dilated=True) for n in (2, 3)},
    **{f"avg_pool{n}d": _pool(n) for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": _adaptive_pool(n) for n in (2, 3) for kind in ("_adaptive_avg", "adaptive_max")},
    **{f"fractional_max_pool{n}d": _fractional_pool for n in (2, 3)},
    **{f"_upsample_{kind}2d_aa": _antialiased(radius) for kind, radius in (("bilinear", 1), ("bicubic", 2))},
}
"""Operator -> formula of its work."""

"""Work of pooling and resizing, whose windows end where the input does: by hand, and by listing every place."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pennyweight.cost import count

# (module, input shape, operations worked out by hand)
BY_HAND = [
    (nn.AvgPool2d(1280, ceil_mode=True), (1280, 7, 7), 1280 * 7 * 7),
    (nn.AvgPool2d(3, stride=1), (1, 4, 4), 4 * 9),
    (nn.AvgPool2d(3, stride=2, padding=1), (2, 4, 4), 2 * (2 + 3) ** 2),
    (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), (2, 4, 4), 2 * (2 + 3) ** 2),
    (nn.AvgPool2d(3, 2, ceil_mode=True, divisor_override=5), (1, 4, 4), (3 + 2) ** 2),
    (nn.AvgPool1d(4, 3, padding=2), (3, 6), 3 * (2 + 4 + 2)),
    (nn.AvgPool3d((1, 2, 3), ceil_mode=True), (1, 2, 3, 4), 2 * 3 * 4),
    (nn.MaxPool2d(2), (1, 4, 4), 4 * 4),
    (nn.MaxPool2d(3, 2, 1), (1, 5, 5), (2 + 3 + 2) ** 2),
    (nn.MaxPool2d(3, 1, 1, dilation=2), (1, 5, 5), (2 + 3 + 2) ** 2),
    (nn.MaxPool2d((5, 1), (4, 1), ceil_mode=True), (1, 7, 2), 2 * (5 + 3)),
    (nn.MaxPool1d(3, 2, padding=1, return_indices=True), (2, 6), 2 * (2 + 3 + 3)),
    (nn.MaxPool3d(2, ceil_mode=True), (1, 3, 3, 3), 27),
    (nn.AdaptiveAvgPool2d((3, 1)), (1, 7, 2), 2 * (3 + 3 + 3)),
    (nn.AdaptiveAvgPool2d(4), (1, 1, 1), 16),
    (nn.AdaptiveMaxPool1d(2), (5, 3), 5 * (2 + 2)),
    (nn.AdaptiveAvgPool3d(2), (1, 5, 5, 5), 6**3),
]


@pytest.mark.parametrize(("module", "shape", "ops"), BY_HAND, ids=repr)
def test_windows_end_where_the_input_does(module: nn.Module, shape: tuple[int, ...], ops: int) -> None:
    assert count(module, shape).ops == ops
    assert count(module, shape, batch=3).ops == 3 * ops


def inside(size: int, steps: int, window: int, stride: int, padding: int, dilation: int) -> int:
    """One after another."""
    places = (step * stride - padding + dilation * place for step, place in product(range(steps), range(window)))
    return sum(0 <= place < size for place in places)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("kind", [nn.AvgPool2d, nn.MaxPool2d])
def test_every_place_of_every_window_is_counted(kind: type[nn.Module], ceil_mode: bool) -> None:
    for window, stride, padding, dilation in product((1, 2, 5), (1, 3), (0, 1, 2), (1, 2)):
        if padding > window // 2 or (dilation > 1 and kind is nn.AvgPool2d):
            continue
        options: dict[str, Any] = {"dilation": (1, dilation)} if dilation > 1 else {}
        pool = kind((2, window), (1, stride), (0, padding), ceil_mode=ceil_mode, **options)
        _, _, *steps = pool(torch.zeros(1, 1, 6, 9)).shape
        rows = inside(6, steps[0], 2, 1, 0, 1), inside(9, steps[1], window, stride, padding, dilation)
        assert count(pool, (4, 6, 9)).ops == 4 * prod(rows), pool


class Resized(nn.Module):
    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, antialias=True, **self.how)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("before", "after"), [(32, 7), (7, 32), (20, 13)])
def test_an_antialiased_filter_weighs_every_place_under_it(
    mode: str, align_corners: bool, before: int, after: int
) -> None:
    """Resizing the columns of an identity shows which places each row of the result is made of."""
    module = Resized(size=(after, before), mode=mode, align_corners=align_corners)
    weights = module(torch.eye(before).view(before, 1, before, 1).expand(-1, -1, -1, before))[..., 0]
    assert count(module, (1, before, before)).ops == 2 * before * int(torch.count_nonzero(weights))
    scaled = Resized(scale_factor=(after / before, 1), mode=mode, align_corners=align_corners)
    assert count(scaled, (1, before, before)).ops == count(module, (1, before, before)).ops


def test_large_steps_cost_what_they_read() -> None:
    assert count(Resized(size=7, mode="bilinear"), (3, 224, 224)).ops > 3 * 224 * 224


def test_fractional_windows_are_counted() -> None:
    cost = count(nn.FractionalMaxPool2d(2, output_size=3), (3, 8, 8))
    assert (cost.ops, cost.uncounted) == (3 * 9 * 4 + 3 * 2, {})  # and two draws a channel

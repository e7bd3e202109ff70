"""Kinds of operators whose times are alike, and guesses of those that were not timed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pennyweight.cost import MachineProfile, count, predict
from pennyweight.cost.counting.forward import forward_pass
from pennyweight.cost.counting.inputs import CallInputs
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.microbenchmarks import Case
from pennyweight.cost.timing.operator_draws import MAKERS
from pennyweight.cost.timing.operator_kinds import Kind, kind_of
from pennyweight.cost.timing.operator_time import OperatorTime
from pennyweight.cost.timing.predict import build_profile
from pennyweight.cost.timing.roofline import Limits


def depthwise(window: int, channels: int = 32, **how: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, window, groups=channels, bias=False, **how)


def kind(model: nn.Module, shape: tuple[int, ...]) -> Kind:
    return kind_of(count(model, shape).operations[-1])


@pytest.mark.parametrize(
    ("model", "shape", "name"),
    [
        (depthwise(1), (32, 28, 28), "depthwise 1×1"),
        (depthwise(1, stride=2), (32, 28, 28), "depthwise 1×1"),
        (nn.Conv1d(32, 32, 1, groups=32), (32, 28), "depthwise 1×1"),
        (depthwise(3, padding=1), (32, 28, 28), "depthwise"),
        (depthwise(9, padding=4), (32, 28, 28), "depthwise"),
        (depthwise(3, padding=3, dilation=3), (32, 28, 28), "depthwise"),
        (depthwise(11, padding=5), (32, 28, 28), "wide depthwise"),
        (depthwise(7, padding=9, dilation=3), (32, 28, 28), "wide depthwise"),
        (nn.Conv1d(32, 32, 31, padding=15, groups=32), (32, 99), "wide depthwise"),
        (nn.Conv3d(32, 32, 3, groups=32), (32, 7, 7, 7), "depthwise, three-dimensional"),
        (nn.Conv2d(32, 64, 3, groups=32), (32, 28, 28), "multiplied"),
        (nn.Conv2d(32, 64, 1, groups=4), (32, 28, 28), "grouped"),
        (nn.Conv3d(1, 8, 3), (1, 7, 7, 7), "three-dimensional"),
        (nn.Conv3d(32, 8, 3, groups=4), (32, 7, 7, 7), "three-dimensional, grouped"),
        (nn.ConvTranspose2d(32, 16, 2, 2), (32, 7, 7), "transposed"),
        (nn.ConvTranspose2d(32, 32, 2, 2, groups=32), (32, 7, 7), "transposed, grouped"),
        (nn.Conv2d(3, 16, 3), (3, 32, 32), "first"),
        (nn.Conv2d(32, 16, 1), (32, 7, 7), "pointwise"),
        (nn.Conv2d(32, 16, 3), (32, 7, 7), "dense"),
    ],
)
def test_convolutions_of_other_kernels_are_other_kinds(model: nn.Module, shape: tuple[int, ...], name: str) -> None:
    assert kind(model, shape).name == name


def drawn(make: int) -> tuple[set[str], int]:
    """Kinds that a maker of microbenchmarks draws, and the features of the last."""
    draw, names, features = random.Random(make), set(), 0
    with torch.device("meta"), torch.no_grad():
        for _ in range(4):
            module, shape = MAKERS[make][1](draw)
            operations = forward_pass(module.eval(), CallInputs(sizes=shape)).operations
            largest = kind_of(max(operations, key=lambda operation: operation.bytes_read + operation.bytes_written))
            names.add(largest.name)
            features = len(largest.features)
    return names, features


def test_kinds_are_timed_at_more_sizes_than_they_have_features() -> None:
    cases: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for make, (number, _) in enumerate(MAKERS):
        names, features = drawn(make)
        for name in names:
            cases[name] = cases.get(name, 0) + number
            sizes[name] = features
    timed = {name for name in cases if cases[name] >= sizes[name] + 2}
    assert {
        "depthwise 1×1",
        "depthwise",
        "wide depthwise",
        "depthwise, three-dimensional",
        "multiplied",
        "grouped",
        "three-dimensional",
        "transposed",
        "first",
        "pointwise",
        "dense",
    } <= timed


def timed(model: nn.Module, shape: tuple[int, ...], ms: float) -> Case:
    (operation,) = count(model, shape).operations
    return Case(nn.Identity(), shape, operation, kind_of(operation), [ms / 1000] * 2)


def test_a_depthwise_1x1_takes_what_such_ones_took(limits: Limits) -> None:
    """Nine times fewer multiply-accumulates than a 3×3, and nearly its time: both move the image."""
    sizes = [(channels, side) for channels in (16, 32, 64, 128) for side in (7, 14, 28)]
    cases = [timed(depthwise(1, c), (c, s, s), 1.9) for c, s in sizes]
    cases += [timed(depthwise(3, c, padding=1), (c, s, s), 2.0) for c, s in sizes]
    profile = build_profile(cases, limits)
    (row,) = predict(count(depthwise(1, 48), (48, 20, 20)), profile)
    assert row.predicted_ms == pytest.approx(1.9, rel=0.01)
    assert row.guessed_ms == 0


def test_a_guess_is_no_less_than_what_the_nearest_that_were_timed_took() -> None:
    """Of windows of nine places and more that take the same, one of a single place is not a ninth."""
    draw = np.random.default_rng(0)
    features = [(size, window) for size in range(4, 16) for window in (3.17, 4.64, 5.61)]
    learned = OperatorTime.learn(features, [0.3 * size + 0.01 * draw.normal() for size, _ in features])
    assert learned((10.0, 0.0)) >= learned((10.0, 3.17)) - np.log(2) - 1e-9
    assert not learned.reaches((10.0, 0.0))


def test_what_was_not_timed_stays_as_far_behind_the_limits_as_what_was(limits: Limits) -> None:
    """The roofline is what nobody reaches; a share that is guessed would look small beside it."""
    profile = build_profile([timed(nn.Linear(n, n, bias=False), (n,), 1e3) for n in (100, 110)], limits)
    far = profile.behind["products"]
    assert far > 100
    (row,) = predict(count(nn.ConvTranspose2d(32, 32, 2, 2, groups=32, bias=False), (32, 7, 7)), profile)
    assert row.predicted_ms == row.guessed_ms == pytest.approx(far * row.roofline_ms)


class Calls(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.function(x)  # type: ignore[operator]
        return out


@pytest.mark.parametrize(
    ("function", "likened"),
    [
        (lambda x: x.abs(), False),
        (lambda x: x.flip(-1), False),
        (lambda x: F.pad(x, (1, 1)), False),
        (lambda x: x.cumsum(-1), True),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), True),
        (lambda x: F.adaptive_max_pool2d(x, 3), True),
    ],
)
def test_operators_that_are_taken_for_others_are_guesses(function: object, likened: bool, limits: Limits) -> None:
    operation = count(Calls(function), (8, 16, 16)).operations[-1]
    assert kind_of(operation).likened is likened
    values = np.random.default_rng(0).uniform(0, 20, (60, 3)).tolist()
    everything = OperatorTime.learn(values, [-7.0] * 60)
    profile: MachineProfile = make_profile(limits, dict.fromkeys(("relu", "sigmoid", "reorder"), everything))
    (row,) = predict(count(Calls(function), (8, 16, 16)), profile)
    assert (row.guessed_ms > 0) is likened

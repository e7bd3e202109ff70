"""MACs of every network by name against torch's own counter, and the backward pass where that counter is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pennyweight import zoo
from pennyweight.cost import count
from pennyweight.verbs.weighable import open_weighable

PATTERNS = (
    "*",
    "torchvision:*",
    "timm:resnet*",
    "timm:mobilenet*",
    "timm:efficientnet*",
    "timm:regnet*",
    "timm:convnext*",
)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_macs_are_those_of_torchs_counter(pattern: str) -> None:
    """It counts two operations for each multiply-accumulate. There is no exception among all of these names.

    Every one of ours is compared, and each third of the others.
    """
    if pattern.startswith("timm:"):
        pytest.importorskip("timm")
    differing = {}
    for name in list(zoo.names(pattern))[:: 1 if pattern == "*" else 3]:
        network = open_weighable(name)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.model(torch.empty(1, *network.input_shape, device="meta"))
        macs = count(network.model, network.input_shape).macs
        if 2 * macs != counter.get_total_flops():
            differing[name] = (macs, counter.get_total_flops() / 2)
    assert differing == {}


def trained_flops(layer: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        layer(torch.rand(1, 8, 6, 6)).sum().backward()
    return int(counter.get_total_flops())


def test_macs_of_a_training_step_by_hand() -> None:
    """8×6×6 outputs of 8·3·3 each (or 1·3·3 of a depthwise one), forward; again for the weights' gradient.

    The first layer's input needs no gradient. torch's counter takes all channels for the gradient of a grouped
    convolution, so that it is right only without groups.
    """
    whole, depthwise = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
    steps = [count(layer, (8, 6, 6), training_step=True).training_macs for layer in (whole, depthwise)]
    assert steps[1] == 2 * 288 * 9
    assert steps[0] == 2 * 288 * 72
    assert trained_flops(whole) == 2 * 2 * 288 * 72
    assert trained_flops(depthwise) > 2 * 2 * 288 * 9

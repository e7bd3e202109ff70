"""Depthwise kernels that training has driven to nothing: work that every picture pays for and none gains from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

__all__ = ["DeadKernels", "dead_depthwise"]

NOTHING = 1e-3  # of the largest weight in the layer


class DeadKernels(NamedTuple):
    """How many of all depthwise kernels have no weight to speak of."""

    dead: int
    kernels: int


def dead_depthwise(model: nn.Module) -> DeadKernels:
    """Count kernels of depthwise convolutions whose every weight is below a thousandth of their layer's largest.

    A layer of zeros alone is dead whole.
    """
    dead = kernels = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            largest = module.weight.detach().abs().flatten(1).amax(1)
            kernels += len(largest)
            dead += int(torch.count_nonzero(largest <= NOTHING * largest.max()))
    return DeadKernels(dead, kernels)

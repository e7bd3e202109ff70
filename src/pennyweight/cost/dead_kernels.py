"""Dead depthwise kernels: training drove their weights to zero, yet every forward pass still pays for them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

__all__ = ["DeadKernels", "dead_depthwise"]

NOTHING = 1e-3  # of the largest weight in the layer


class DeadKernels(NamedTuple):
    """Number of depthwise kernels with negligible weights, and number of all depthwise kernels."""

    dead: int
    kernels: int


def dead_depthwise(model: nn.Module) -> DeadKernels:
    """Count depthwise kernels whose every weight is below a thousandth of the layer's largest weight.

    In a layer of zeros, every kernel is dead.
    """
    dead = kernels = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            largest = module.weight.detach().abs().flatten(1).amax(1)
            kernels += len(largest)
            dead += int(torch.count_nonzero(largest <= NOTHING * largest.max()))
    return DeadKernels(dead, kernels)

"""Pairs of pictures as one: mixup and cutmix on a batch, decided by (seed, epoch, step)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pennyweight.data.draws import draws

__all__ = ["Mixed", "mix"]

STREAM = 1 << 40
"""Added to the step's number: far from the numbers of samples, whose draws are the augmentation's."""


class Mixed(NamedTuple):
    """What the pictures of a batch are of."""

    targets: Tensor
    """(B,) classes."""
    others: Tensor
    """(B,) the classes of what was mixed in."""
    share: float
    """How much of each picture is still its own."""


def mix(
    x: Tensor, targets: Tensor, *, mixup: float, cutmix: float, seed: int, epoch: int, step: int
) -> tuple[Tensor, Mixed]:
    """Each picture with the next of its batch, by one share for all. (B, C, H, W) -> same.

    mixup blends them (Zhang et al. 2017, arXiv:1710.09412), cutmix pastes a box (Yun et al. 2019, arXiv:1905.04899);
    with both, every step draws which.
    """
    from scipy.special import betaincinv  # the inverse of Beta's distribution function, from one uniform number

    which, drawn, down, across = draws(seed, epoch, np.array([STREAM + step]), 4)[0]
    pasted = cutmix > 0 and (mixup == 0 or which < 0.5)
    alpha = cutmix if pasted else mixup
    share = float(betaincinv(alpha, alpha, drawn))
    others = x.roll(1, 0)
    if pasted:
        height, width = x.shape[2:]
        side = (1 - share) ** 0.5
        high, wide = round(height * side), round(width * side)
        top, left = round(down * (height - high)), round(across * (width - wide))
        x = x.clone()
        x[:, :, top : top + high, left : left + wide] = others[:, :, top : top + high, left : left + wide]
        share = 1 - high * wide / (height * width)
    else:
        x = torch.lerp(others, x, share)
    return x, Mixed(targets, targets.roll(1, 0), share)

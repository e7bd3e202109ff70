"""Pictures that grow while a network learns: small ones teach nearly as much at first, in much less time.

After Howard 2018 (DAWNBench) and Tan and Le 2021, arXiv:2104.00298, Section 4.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pennyweight.train.recipe import Recipe

__all__ = ["grown", "side_in"]

GROWN = 0.7
"""Share of the epochs after which pictures have their whole side."""
STEP = 4
"""Sides are whole multiples of so many pixels, so that few sizes are met."""


def side_in(epoch: int, side: int, recipe: Recipe) -> int:
    """The side in pixels that pictures of `side` have in this epoch, counted from 1."""
    passed = min(1.0, (epoch - 1) / (GROWN * recipe.epochs))
    wanted = side * (recipe.first_side + (1 - recipe.first_side) * passed)
    return side if wanted >= side else max(min(STEP, side), int(wanted / STEP) * STEP)


def grown(x: Tensor, epoch: int, recipe: Recipe) -> Tensor:
    """(B, C, S, S) as large as this epoch has it, in its layout; itself where that is its own size."""
    side = side_in(epoch, x.shape[-1], recipe)
    return x if side == x.shape[-1] else F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)

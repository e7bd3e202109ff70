"""Augmentation policies: TrivialAugment and RandAugment, random changes of a picture from one table.

Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158 (one change, any strength); Cubuk et al. 2019, RandAugment,
arXiv:1909.13719 (two changes of one strength). The changes are torchvision's transforms.v2 kernels on uint8, in its
ranges. The draws come from `draws`, because torchvision's share one generator among all threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CHANGES", "DRAWS", "Policy", "PolicyChange", "change"]

Policy = Literal["none", "trivial", "rand"]
PolicyChange = Literal[
    "shear_x", "shear_y", "shift_x", "shift_y", "rotate", "brightness", "color", "contrast", "sharpness", "posterize",
    "solarize", "autocontrast", "equalize",
]  # fmt: skip
CHANGES: tuple[PolicyChange, ...] = get_args(PolicyChange)
"""Names of the changes, in the order of the table; the table begins with the picture as it is."""
BINS = 31
RAND_CHANGES = 2
RAND_BIN = 9
DRAWS = 3 * RAND_CHANGES
"""Numbers in [0, 1) that one picture takes."""


class Change(NamedTuple):
    """Change of a picture, with its largest amount in TrivialAugment's wide table and in RandAugment's."""

    wide: float
    """Largest amount of TrivialAugment."""
    usual: float
    """Largest amount of RandAugment."""
    signed: bool
    """True if a draw decides the sign of the amount."""
    apply: Callable[[Tensor, float], Tensor]


def change(pixels: Tensor, policy: Policy, drawn: Sequence[float], without: Collection[str] = ()) -> Tensor:
    """Change a picture by `drawn`, DRAWS numbers in [0, 1), by any of the policy's changes but those in `without`.

    (C, H, W) uint8 with 1 or 3 channels -> same.
    """
    if policy == "none":
        return pixels
    table = [row for name, row in _table().items() if name not in without]
    for start in range(0, 3 if policy == "trivial" else DRAWS, 3):
        which, strength, sign = drawn[start : start + 3]
        row = table[int(which * len(table))]
        share = int(strength * BINS) / (BINS - 1) if policy == "trivial" else RAND_BIN / (BINS - 1)
        amount = share * (row.wide if policy == "trivial" else row.usual)
        pixels = row.apply(pixels, -amount if row.signed and sign < 0.5 else amount)
    return pixels


@cache
def _table() -> dict[str, Change]:
    from torchvision.transforms.v2 import functional as kernels

    def affine(pixels: Tensor, *, across: float = 0, down: float = 0, shear: tuple[float, float] = (0, 0)) -> Tensor:
        moved: Tensor = kernels.affine(
            pixels, angle=0.0, translate=[int(across), int(down)], scale=1.0, shear=list(shear), center=[0, 0]
        )
        return moved

    def shift_x(pixels: Tensor, amount: float) -> Tensor:
        return affine(pixels, across=amount * pixels.shape[-1])

    def shift_y(pixels: Tensor, amount: float) -> Tensor:
        return affine(pixels, down=amount * pixels.shape[-2])

    def solarize(pixels: Tensor, amount: float) -> Tensor:
        changed: Tensor = kernels.solarize(pixels, 255 * (1 - amount))
        return changed

    def posterize(pixels: Tensor, amount: float) -> Tensor:
        changed: Tensor = kernels.posterize(pixels, 8 - round(amount))
        return changed

    def adjust(kernel: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
        return lambda pixels, amount: kernel(pixels, 1 + amount)

    # Strengths are torchvision's: shears as tangents (radians there), shifts as shares of the side.
    return {
        "identity": Change(0, 0, False, lambda pixels, amount: pixels),
        "shear_x": Change(
            0.99, 0.3, True, lambda pixels, amount: affine(pixels, shear=(math.degrees(math.atan(amount)), 0))
        ),
        "shear_y": Change(
            0.99, 0.3, True, lambda pixels, amount: affine(pixels, shear=(0, math.degrees(math.atan(amount))))
        ),
        "shift_x": Change(32 / 224, 150 / 331, True, shift_x),
        "shift_y": Change(32 / 224, 150 / 331, True, shift_y),
        "rotate": Change(135, 30, True, lambda pixels, amount: kernels.rotate(pixels, amount)),
        "brightness": Change(0.99, 0.9, True, adjust(kernels.adjust_brightness)),
        "color": Change(0.99, 0.9, True, adjust(kernels.adjust_saturation)),
        "contrast": Change(0.99, 0.9, True, adjust(kernels.adjust_contrast)),
        "sharpness": Change(0.99, 0.9, True, adjust(kernels.adjust_sharpness)),
        "posterize": Change(6, 4, False, posterize),
        "solarize": Change(1, 1, False, solarize),
        "autocontrast": Change(0, 0, False, lambda pixels, amount: kernels.autocontrast(pixels)),
        "equalize": Change(0, 0, False, lambda pixels, amount: kernels.equalize(pixels)),
    }

"""Data augmentation of training batches: shift, flip, policy, random erasing, mixup and CutMix.

Each sample has its own draws from (seed, epoch, sample), so threads and restarts change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.frame import Sides
from pennyweight.core.images import Pixels
from pennyweight.data.augment import policies
from pennyweight.data.augment.crops import crop, crop_on, crop_with_repeated_edges
from pennyweight.data.augment.draws import draws
from pennyweight.data.augment.policies import Policy

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "Mixed"]

Array: TypeAlias = "Pixels | Tensor"

# Index of the draw that decides each change; draw 0 orders the epoch.
DOWN, ACROSS, FLIP, ERASE, MIX, SHARE = range(1, 7)
BOX = 7
POLICY = BOX + 4
COUNT = POLICY + policies.DRAWS
ERASED = (0.02, 1 / 3)
"""Smallest and largest share of a picture that random erasing covers (Zhong et al. 2017, arXiv:1708.04896)."""
LEVELS = 256
"""Shares of a mixture are multiples of 1/256, so that it has the same bytes on every device."""


class Mixed(NamedTuple):
    """Classes and shares of a batch after mixup or CutMix."""

    targets: NDArray[np.int64]
    """(B,) class of the other picture."""
    share: NDArray[np.float32]
    """(B,) share of each sample that is its own; the rest is the other picture's."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Changes of a batch. (B, H, W, C) uint8 -> (B, h, w, C); with all changes off, a center crop."""

    flip: bool
    """Mirror left and right in every other epoch; a draw for each picture decides whether the odd or the even ones.
    Alternating learns more in few epochs than a fresh draw in each epoch (Jordan 2024, arXiv:2404.00498)."""
    shift: float
    """Largest shift, as a share of the shorter side: within the margin of pictures that have one, else with repeated
    edges. A share of the longer side would move a mark near the end of a long picture out of sight."""
    policy: Policy = "none"
    """Random change of color or shape: "trivial" (TrivialAugment) or "rand" (RandAugment)."""
    without: tuple[str, ...] = ()
    """Changes that the policy leaves out."""
    erase: float = 0.0
    """Random erasing: the share of pictures that get a gray box."""
    mixup: float = 0.0
    """Blend with the next picture of the batch, by a share from Beta(mixup, mixup); 0 is off. arXiv:1710.09412."""
    cutmix: float = 0.0
    """Paste a box of the next picture, by a share from Beta(cutmix, cutmix); 0 is off. arXiv:1905.04899."""

    def __call__(
        self,
        pixels: Array,
        *,
        seed: int,
        epoch: int,
        samples: NDArray[np.int64],
        size: Sides | None = None,
        edge: Sides = (0, 0),
    ) -> Array:
        """Apply crop, flip, policy and random erasing, the changes of single pictures.

        Args:
            pixels: (B, H, W, C) uint8, an array or a tensor.
            seed: Seed of the run.
            epoch: Number of the epoch.
            samples: (B,) numbers of the pictures in their split.
            size: Height and width to crop pictures with a margin to; by default these stay.
            edge: Rows and columns by which the edges of `pixels` have been extended already.

        Returns:
            (B, h, w, C) uint8.
        """
        drawn = draws(seed, epoch, samples, COUNT)
        # The draw of epoch 0 decides for all epochs.
        drawn[:, FLIP] = (draws(seed, 0, samples, FLIP + 1)[:, FLIP] + epoch / 2) % 1
        out = self._moved(pixels, drawn, size, edge)
        if self.policy != "none" or self.erase:
            _one_by_one(self, out, drawn)
        return out

    def edges(self, sides: Sides) -> Sides:
        """Return the rows and columns by which `shift` reaches beyond a picture of these sides."""
        reach = int(self.shift * min(sides))
        return reach, reach

    def mix(
        self, pixels: Array, targets: NDArray[np.int64], *, seed: int, epoch: int, samples: NDArray[np.int64]
    ) -> tuple[Array, Mixed | None]:
        """Mix each picture of a batch with the next one by mixup or CutMix; with both on, a draw chooses for each.

        Args:
            pixels: (B, H, W, C) uint8, an array or a tensor.
            targets: (B,) classes.
            seed: Seed of the run.
            epoch: Number of the epoch.
            samples: (B,) numbers of the pictures in their split.

        Returns:
            The mixed batch, and the classes and shares of the mixture; None if both are off.
        """
        if not self.mixup and not self.cutmix:
            return pixels, None
        from scipy.special import betaincinv

        drawn = draws(seed, epoch, samples, COUNT)
        pasted = drawn[:, MIX] < 0.5 if self.mixup and self.cutmix else np.full(len(samples), bool(self.cutmix))
        alpha = np.where(pasted, self.cutmix, self.mixup)
        share = np.round(betaincinv(alpha, alpha, drawn[:, SHARE]) * LEVELS).astype(np.int64)
        own = _own(pixels, pasted, share, drawn[:, BOX : BOX + 2])
        mixed = Mixed(np.roll(targets, -1), own.mean((1, 2, 3)).astype(np.float32) / LEVELS)
        return _blended(pixels, own), mixed

    def _moved(self, pixels: Array, drawn: NDArray[np.float64], size: Sides | None, edge: Sides) -> Array:
        height, width = pixels.shape[1] - 2 * edge[0], pixels.shape[2] - 2 * edge[1]
        cut = size or (height, width)
        margins = (height - cut[0], width - cut[1])
        reach = self.edges(cut)
        repeats_edges = isinstance(pixels, np.ndarray) and not any(edge) and not any(margins)
        edge = reach if repeats_edges else edge
        down, across = (
            _offsets(drawn[:, which], *where)
            for which, *where in zip((DOWN, ACROSS), reach, margins, edge, strict=True)
        )
        flip = drawn[:, FLIP] < 0.5 if self.flip else np.zeros(len(drawn), bool)
        if isinstance(pixels, np.ndarray):
            if repeats_edges:
                return crop_with_repeated_edges(pixels, edge, down, across, flip)
            return crop(pixels, cut, down, across, flip)
        return crop_on(pixels, cut, down, across, flip)


def _offsets(drawn: NDArray[np.float64], reach: int, margin: int, edge: int) -> NDArray[np.int64]:
    """Return the start of each sample's window: around the middle, or anywhere within a margin. (B,) -> (B,)"""
    middle = edge + round(margin / 2)
    if not reach:
        return np.full(len(drawn), middle)
    reach = min(reach, edge)  # the edges of this side may not be extended, because the other one has a margin
    low, high = (edge, edge + margin) if margin else (middle - reach, middle + reach)
    return np.floor(drawn * (high - low + 1)).astype(np.int64) + low


def _own(
    pixels: Any, pasted: NDArray[np.bool_], share: NDArray[np.int64], at: NDArray[np.float64]
) -> NDArray[np.int16]:
    """Return each pixel's own share, in LEVELS: (B, H, W, 1), or (B, 1, 1, 1) if no picture gets a box."""
    count, height, width = pixels.shape[:3]
    if not pasted.any():
        return share.astype(np.int16)[:, None, None, None]
    own = np.empty((count, height, width, 1), np.int16)
    own[:] = np.where(pasted, LEVELS, share)[:, None, None, None]
    for number in np.flatnonzero(pasted).tolist():
        side = np.sqrt(1 - share[number] / LEVELS)
        high, wide = round(height * side), round(width * side)
        top, left = int(at[number, 0] * (height - high + 1)), int(at[number, 1] * (width - wide + 1))
        own[number, top : top + high, left : left + wide] = 0
    return own


def _blended(pixels: Array, own: NDArray[np.int16]) -> Array:
    """Return own/256 of each picture plus the rest of the next one, rounded, in integer arithmetic."""
    if isinstance(pixels, np.ndarray):
        # At most 255·256 + 128, which fits uint16.
        weights = own.astype(np.uint16)
        mine = pixels * weights
        mine += np.roll(pixels, -1, axis=0) * (LEVELS - weights)
        return ((mine + LEVELS // 2) >> 8).astype(np.uint8)
    import torch

    weights_ = torch.from_numpy(own).to(pixels.device).int()
    blended = pixels.int() * weights_ + pixels.roll(-1, 0).int() * (LEVELS - weights_)
    return ((blended + LEVELS // 2) >> 8).to(torch.uint8)


def _one_by_one(augment: Augment, pixels: Any, drawn: NDArray[np.float64]) -> None:
    """Apply policy and random erasing in place, picture by picture."""
    import torch

    batch = torch.from_numpy(pixels) if isinstance(pixels, np.ndarray) else pixels
    height, width = batch.shape[1:3]
    change = partial(policies.change, policy=augment.policy, without=augment.without)
    for number, row in enumerate(drawn.tolist()):
        if augment.policy != "none":
            planes = batch[number].permute(2, 0, 1)
            if planes.shape[0] not in (1, 3):  # torchvision's color kernels take gray or RGB only
                changed = torch.cat([change(plane[None], drawn=row[POLICY:]) for plane in planes])
            else:
                changed = change(planes, drawn=row[POLICY:])
            batch[number] = changed.permute(1, 2, 0)
        if row[ERASE] < augment.erase:
            low, high = ERASED
            area = low + row[BOX + 2] * (high - low)
            stretch = 0.3 ** (1 - 2 * row[BOX + 3])  # log-uniform from 0.3 to 1/0.3
            tall, wide = (
                min(side, round(side * (area * by) ** 0.5)) for side, by in ((height, stretch), (width, 1 / stretch))
            )
            top, left = int(row[BOX] * (height - tall + 1)), int(row[BOX + 1] * (width - wide + 1))
            batch[number, top : top + tall, left : left + wide] = 128

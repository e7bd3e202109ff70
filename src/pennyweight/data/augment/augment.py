"""What training changes about a picture, each sample by its own draws: nothing depends on threads or restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.data.augment import policies
from pennyweight.data.augment.crops import crop, crop_on, padded
from pennyweight.data.augment.draws import draws
from pennyweight.data.augment.policies import Policy

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "Mixed"]

Array: TypeAlias = "Pixels | Tensor"

# Which of a sample's draws decides what; the first orders the epoch.
DOWN, ACROSS, FLIP, ERASE, MIX, SHARE = range(1, 7)
BOX = 7
POLICY = BOX + 4
COUNT = POLICY + policies.DRAWS
ERASED = (0.02, 1 / 3)
"""Smallest and largest share of a picture that is erased (Zhong et al. 2017, arXiv:1708.04896)."""
LEVELS = 256
"""Shares of a mixture are whole numbers of 1/256, so that it has the same bytes on every device."""


class Mixed(NamedTuple):
    """What a batch was mixed with."""

    targets: NDArray[np.int64]
    """(B,) the other picture's class."""
    share: NDArray[np.float32]
    """(B,) how much of each sample is its own; the rest is the other's."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Changes of a batch. (B, H, W, C) uint8 -> (B, h, w, C); all off, it cuts the middle out."""

    flip: bool
    """Mirror left and right every other epoch: which ones a picture draws, and then sees both ways equally often.
    Learns more in few epochs than a draw for each (Jordan 2024, arXiv:2404.00498)."""
    shift: float
    """Move by up to this share of the side: within the margin where pictures have one, else edges are repeated."""
    policy: Policy = "none"
    """One random change of colour or shape: "trivial" (TrivialAugment) or "rand" (RandAugment)."""
    erase: float = 0.0
    """How many of the pictures get a grey box."""
    mixup: float = 0.0
    """Blend with the next picture of the batch, by a share from Beta(mixup, mixup); 0 is off. arXiv:1710.09412."""
    cutmix: float = 0.0
    """Paste a box of the next picture of the batch, of a share from Beta(cutmix, cutmix). arXiv:1905.04899."""

    def __call__(
        self,
        pixels: Array,
        *,
        seed: int,
        epoch: int,
        samples: NDArray[np.int64],
        size: int | None = None,
        edge: int = 0,
    ) -> Array:
        """Everything that changes a picture by itself. `samples` are the numbers of the pictures in their split.

        `size` cuts pictures with a margin down to it. With `edge` the edges have been repeated so many times already.
        """
        drawn = draws(seed, epoch, samples, COUNT)
        # The first epoch's draw decides for all.
        drawn[:, FLIP] = (draws(seed, 0, samples, FLIP + 1)[:, FLIP] + epoch / 2) % 1
        out = self._moved(pixels, drawn, size, edge)
        if self.policy != "none" or self.erase:
            _one_by_one(self, out, drawn)
        return out

    def edge(self, side: int) -> int:
        """How many pixels beyond a picture of that side `shift` reaches."""
        return int(self.shift * side)

    def mix(
        self, pixels: Array, targets: NDArray[np.int64], *, seed: int, epoch: int, samples: NDArray[np.int64]
    ) -> tuple[Array, Mixed | None]:
        """Blend or paste each picture of a batch with the next; with both, every sample draws which."""
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

    def _moved(self, pixels: Array, drawn: NDArray[np.float64], size: int | None, edge: int) -> Array:
        height, width = (side - 2 * edge for side in pixels.shape[1:3])
        cut = (size or height, size or width)
        margins = (height - cut[0], width - cut[1])
        if isinstance(pixels, np.ndarray) and not edge and not any(margins):
            most = [self.edge(side) for side in cut]
            edge = max(most)
            pixels = padded(pixels, edge)
        else:
            most = [self.edge(side) for side in cut]
        down, across = (
            _offsets(drawn[:, which], reach, margin, edge)
            for which, reach, margin in zip((DOWN, ACROSS), most, margins, strict=True)
        )
        flip = drawn[:, FLIP] < 0.5 if self.flip else np.zeros(len(drawn), bool)
        if isinstance(pixels, np.ndarray):
            return crop(pixels, cut, down, across, flip)
        return crop_on(pixels, cut, down, across, flip)


def _offsets(drawn: NDArray[np.float64], most: int, margin: int, edge: int) -> NDArray[np.int64]:
    """Where each sample's window starts: about the middle, within the margin where there is one. (B,) -> (B,)"""
    middle = edge + round(margin / 2)
    if not most:
        return np.full(len(drawn), middle)
    low, high = (edge, edge + margin) if margin else (middle - most, middle + most)
    return np.floor(drawn * (high - low + 1)).astype(np.int64) + low


def _own(
    pixels: Any, pasted: NDArray[np.bool_], share: NDArray[np.int64], at: NDArray[np.float64]
) -> NDArray[np.int16]:
    """How much of each pixel stays its own, in LEVELS. -> (B, H, W, 1), or (B, 1, 1, 1) where nothing is pasted."""
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
    """own/256 of each picture and the rest of the next, rounded; whole numbers only."""
    if isinstance(pixels, np.ndarray):
        # At most 255·256 + 128, which 16 bits without a sign just hold.
        weights = own.astype(np.uint16)
        mine = pixels * weights
        mine += np.roll(pixels, -1, axis=0) * (LEVELS - weights)
        return ((mine + LEVELS // 2) >> 8).astype(np.uint8)
    import torch

    weights_ = torch.from_numpy(own).to(pixels.device).int()
    blended = pixels.int() * weights_ + pixels.roll(-1, 0).int() * (LEVELS - weights_)
    return ((blended + LEVELS // 2) >> 8).to(torch.uint8)


def _one_by_one(augment: Augment, pixels: Any, drawn: NDArray[np.float64]) -> None:
    """Policy and erasing, in place, picture by picture."""
    import torch

    batch = torch.from_numpy(pixels) if isinstance(pixels, np.ndarray) else pixels
    height, width = batch.shape[1:3]
    for number, row in enumerate(drawn.tolist()):
        if augment.policy != "none":
            planes = batch[number].permute(2, 0, 1)
            if planes.shape[0] not in (1, 3):  # torchvision's colours are of grey and RGB; shapes are of any
                changed = torch.cat([policies.change(plane[None], augment.policy, row[POLICY:]) for plane in planes])
            else:
                changed = policies.change(planes, augment.policy, row[POLICY:])
            batch[number] = changed.permute(1, 2, 0)
        if row[ERASE] < augment.erase:
            low, high = ERASED
            area = low + row[BOX + 2] * (high - low)
            stretch = 0.3 ** (1 - 2 * row[BOX + 3])  # from 0.3 to 1/0.3, evenly in its logarithm
            tall, wide = (
                min(side, round(side * (area * by) ** 0.5)) for side, by in ((height, stretch), (width, 1 / stretch))
            )
            top, left = int(row[BOX] * (height - tall + 1)), int(row[BOX + 1] * (width - wide + 1))
            batch[number, top : top + tall, left : left + wide] = 128

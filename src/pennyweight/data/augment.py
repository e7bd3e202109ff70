"""What training changes about a picture, each sample by its own draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.data.draws import draws

__all__ = ["Augment"]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Mirror and shift. (B, H, W, C) uint8 -> same; nothing else leaves the picture as it is."""

    flip: bool
    """Mirror left and right, each picture with a chance of one half."""
    shift: float
    """Move by up to this share of the side; edges are repeated."""

    def __call__(self, pixels: Pixels, *, seed: int, epoch: int, samples: NDArray[np.int64]) -> Pixels:
        """`samples` are the numbers of the batch's pictures in their split."""
        count, height, width, _ = pixels.shape
        drawn = draws(seed, epoch, samples, 4)[:, 1:]  # the first orders the epoch
        down = _offsets(drawn[:, 0], self.shift, height)
        across = _offsets(drawn[:, 1], self.shift, width)
        if self.flip:
            mirrored = drawn[:, 2:3] < 0.5
            across = np.where(mirrored, across[:, ::-1], across)
        return pixels[np.arange(count)[:, None, None], down[:, :, None], across[:, None, :]]


def _offsets(drawn: NDArray[np.float64], share: float, side: int) -> NDArray[np.int64]:
    """For each sample the source row (or column) of every target row. (B,) -> (B, side)."""
    most = int(share * side)
    offsets = np.floor(drawn * (2 * most + 1)).astype(np.int64) - most
    rows: NDArray[np.int64] = np.clip(np.arange(side) + offsets[:, None], 0, side - 1)
    return rows

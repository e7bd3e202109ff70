"""Some pictures with their classes: what a step of training is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.data.augment.augment import Mixed

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "Share"]


class Batch(NamedTuple):
    """Some pictures and their classes."""

    pixels: Pixels | torch.Tensor
    """(B, H, W, C); a tensor where it was made on an accelerator."""
    targets: NDArray[np.int64]
    """(B,)"""
    mixed: Mixed | None = None
    """What each picture was mixed with, if it was."""

    @property
    def images(self) -> int:
        """How many pictures the step is made with."""
        return len(self.targets)

    def parts(self, count: int) -> list[Batch]:
        """Itself in `count` nearly equal parts."""
        if count == 1:
            return [self]
        return [self.rows(numbers) for numbers in np.array_split(np.arange(len(self.targets)), count)]

    def rows(self, numbers: NDArray[np.int64]) -> Batch:
        """Some of its pictures."""
        mixed = None if self.mixed is None else Mixed(self.mixed.targets[numbers], self.mixed.share[numbers])
        return Batch(self.pixels[numbers], self.targets[numbers], mixed)


class Share(Batch):
    """One rank's share of a step, which is made with `images` pictures on all ranks together."""

    _images: int

    def __new__(cls, batch: Batch, images: int) -> Share:
        share = super().__new__(cls, *batch)
        share._images = images
        return share

    @property
    def images(self) -> int:
        return self._images

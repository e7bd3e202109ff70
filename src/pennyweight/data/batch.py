"""Batches of pictures with their classes, one for each training step."""

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
    """Pictures and their classes."""

    pixels: Pixels | torch.Tensor
    """(B, H, W, C); a tensor if it was made on an accelerator."""
    targets: NDArray[np.int64]
    """(B,) classes."""
    mixed: Mixed | None = None
    """Other class and share of each picture after mixup or CutMix; None if neither was applied."""

    @property
    def size(self) -> int:
        """Return the number of pictures in the step, on all ranks together."""
        return len(self.targets)

    def parts(self, count: int) -> list[Batch]:
        """Divide the batch into `count` nearly equal parts."""
        if count == 1:
            return [self]
        return [self.rows(numbers) for numbers in np.array_split(np.arange(len(self.targets)), count)]

    def rows(self, numbers: NDArray[np.int64]) -> Batch:
        """Return the pictures with these numbers as a batch."""
        mixed = None if self.mixed is None else Mixed(self.mixed.targets[numbers], self.mixed.share[numbers])
        return Batch(self.pixels[numbers], self.targets[numbers], mixed)


class Share(Batch):
    """Share of one distributed rank in a step, which has `size` pictures on all ranks together."""

    _size: int

    def __new__(cls, batch: Batch, size: int) -> Share:
        share = super().__new__(cls, *batch)
        share._size = size
        return share

    @property
    def size(self) -> int:
        """Return the number of pictures in the step, on all ranks together."""
        return self._size

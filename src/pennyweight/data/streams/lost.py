"""Pictures of a trusted stream that cannot be decoded: named, and replaced in their batches by readable ones."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.images import Pixels

__all__ = ["LostPictures"]

Numbers = NDArray[np.int64]


class LostPictures:
    """Samples, of `count`, that an epoch met and could not decode. Threads may share it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._reasons: dict[int, str] = {}
        self._changing = threading.Lock()

    def add(self, number: int, reason: str) -> None:
        """Add a sample with its reason, a line that names it."""
        with self._changing:
            self._reasons[number] = reason

    def reasons(self) -> dict[int, str]:
        """Return sample -> reason, ascending."""
        with self._changing:
            return dict(sorted(self._reasons.items()))

    def replace(self, pixels: Pixels, numbers: Numbers) -> tuple[Pixels, Numbers, Numbers]:
        """Return pixels and samples of a batch with readable ones in the places of others, and 1 for each repeat.

        The next readable sample takes the place, so that equal batches stay equal.

        Raises:
            SourceError: No picture of the batch can be read, or more than half of the stream cannot.
        """
        if not self._reasons:
            return pixels, numbers, np.zeros_like(numbers)
        reasons = self.reasons()
        lost = np.isin(numbers, list(reasons))
        if lost.all() or 2 * len(reasons) > self._count:
            raise SourceError(
                f"{len(reasons):,} of {self._count:,} pictures so far, and {lost.sum():,} of {len(lost):,} in a batch, "
                f"cannot be read; the first: {next(iter(reasons.values()))}"
            )
        places, readable = np.arange(len(numbers)), np.flatnonzero(~lost)
        places[lost] = readable[np.searchsorted(readable, places[lost]) % len(readable)]
        return pixels[places], numbers[places], lost.astype(np.int64)

"""The pictures of a split as arrays, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment import Augment
from pennyweight.data.draws import draws
from pennyweight.data.source import Sample

__all__ = ["Batch", "Pictures"]

KEEP_BYTES = 2 << 30


class Batch(NamedTuple):
    """Some pictures and their classes."""

    pixels: Pixels
    """(B, H, W, C)"""
    targets: NDArray[np.int64]
    """(B,)"""


class Pictures:
    """Samples as the network sees them: decoded by `preprocess`, kept in memory when they fit into `keep_bytes`."""

    def __init__(self, samples: Sequence[Sample], preprocess: Preprocess, *, keep_bytes: int = KEEP_BYTES) -> None:
        self.samples = samples
        self.preprocess = preprocess
        self.targets = np.array([sample.label for sample in samples], dtype=np.int64)
        self.fits = len(samples) * int(np.prod(preprocess.shape)) <= keep_bytes
        self._kept: Pixels | None = None
        # Pillow decodes outside Python's lock, so threads are enough.
        self._pool = ThreadPoolExecutor(max_workers=cores())

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, advance: Callable[[int], None] = lambda count: None) -> None:
        """Decode all of it now, when it fits; `advance(1)` after each. Raises ImageError that names the file."""
        if not self.fits or self._kept is not None:
            return
        pixels = np.empty((len(self), *self.preprocess.shape), np.uint8)
        for number, picture in enumerate(self._decode(range(len(self)))):
            pixels[number] = picture
            advance(1)
        self._kept = pixels

    def pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        """(B,) numbers of samples -> (B, H, W, C)."""
        if self._kept is not None:
            return self._kept[numbers]
        return np.stack(list(self._decode(numbers.tolist())))

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every picture once, as it is."""
        for start in range(0, len(self), batch):
            numbers = np.arange(start, min(start + batch, len(self)))
            yield Batch(self.pixels(numbers), self.targets[numbers])

    def steps(self, batch: int) -> int:
        """How many batches `epoch` gives: as few as hold everything, and none of a single picture."""
        return max(1, min(-(-len(self) // batch), len(self) // 2))

    def epoch(self, epoch: int, *, batch: int, seed: int, augment: Augment) -> Iterator[Batch]:
        """Every picture once, in the order of (seed, epoch), changed by `augment`.

        Batches have nearly equal sizes of at most `batch`, of at least 2 because one would break batch norm
        (so an odd number in batches of 2 has one of 3).
        """
        everything = np.arange(len(self))
        order = np.argsort(draws(seed, epoch, everything, 1)[:, 0], kind="stable")
        for numbers in np.array_split(order, self.steps(batch)):
            pixels = augment(self.pixels(numbers), seed=seed, epoch=epoch, samples=numbers)
            yield Batch(pixels, self.targets[numbers])

    def _decode(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        return self._pool.map(lambda n: self.preprocess(self.samples[n].read(), name=self.samples[n].name), numbers)

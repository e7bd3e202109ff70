"""Pictures of a split as arrays, and the batches of an epoch, which threads prefetch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores, memory_share
from pennyweight.core.prefetch import prefetch
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment.augment import Augment
from pennyweight.data.augment.crops import SMALL, padded
from pennyweight.data.augment.draws import shuffled
from pennyweight.data.balance import Balance, balanced_count, balanced_order
from pennyweight.data.batch import Batch
from pennyweight.data.decoded_pictures import DecodedPictures
from pennyweight.data.single_thread import limit_to_one_thread
from pennyweight.data.source import Sample

if TYPE_CHECKING:
    import torch

__all__ = ["Pictures"]

PREFETCH_BYTES, PREFETCH_SHARE = 128 << 20, 1 / 32
"""Memory for prefetched batches, which are at least two, and its largest share of the memory of this process."""


class Pictures(DecodedPictures):
    """Pictures of a split and the batches of its epochs.

    Pictures are decoded and kept as in DecodedPictures. `balance` makes `epoch` show rare classes more often.
    """

    def __init__(
        self, samples: Sequence[Sample], preprocess: Preprocess, *, balance: Balance | None = None, **options: Any
    ) -> None:
        super().__init__(samples, preprocess, **options)
        self.balance = balance
        self.waited_s = 0.0
        """Seconds for which the consumer of the latest epoch waited for batches."""
        self._prefetch_bytes = memory_share(PREFETCH_BYTES, PREFETCH_SHARE)
        self.heavy = False
        """True if the latest epoch applied a policy, which changes pictures one by one."""

    def part(self, which: NDArray[np.bool_]) -> Pictures:
        """Return some of the pictures, which share the decoded ones and the balance with these. (N,) -> n pictures."""
        part, numbers = copy(self), np.flatnonzero(which)
        part.samples = [self.samples[number] for number in numbers.tolist()]
        part.targets, part._rows = self.targets[numbers], self._rows[numbers]
        return part

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Yield every picture once, in order and unchanged."""
        for start in range(0, len(self), batch):
            numbers = np.arange(start, min(start + batch, len(self)))
            yield Batch(self.pixels(numbers), self.targets[numbers])

    def steps(self, batch: int) -> int:
        """Return the number of batches in an epoch: as few as hold all pictures, none with a single picture."""
        return max(1, min(-(-self.shown // batch), self.shown // 2))

    @property
    def shown(self) -> int:
        """Return the number of pictures that an epoch shows, counting repeats."""
        return balanced_count(self.targets) if self._sampled else len(self)

    @property
    def _sampled(self) -> bool:
        return self.balance is not None and self.balance.how == "sampling"

    def epoch(
        self,
        epoch: int,
        *,
        batch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        start: int = 0,
    ) -> Iterator[Batch]:
        """Yield the augmented batches of an epoch, which threads prefetch.

        Every picture comes once or, with balanced sampling, every class equally often. Batches have nearly equal sizes
        of at most `batch` and at least 2, because batch norm fails on 1 (3 pictures in batches of 2 are one batch).

        Args:
            epoch: Number of the epoch.
            batch: Largest number of pictures in a batch.
            seed: Seed of the run; order and changes are drawn from (seed, epoch, sample).
            augment: Changes of the pictures.
            device: Accelerator that crops, mirrors and mixes whole batches, with the same bytes as the CPU.
            start: Number of batches to skip.
        """
        self._repeat_edges(augment)
        self.heavy = augment.policy != "none"
        numbers = np.arange(len(self))
        if self._sampled:
            order, times = balanced_order(self.targets, seed=seed, epoch=epoch)
        else:
            order = shuffled(seed, epoch, numbers)
            times = np.zeros(len(order), np.int64)

        def make(turn: NDArray[np.int64]) -> Batch:
            return self._batch(self._pixels(order[turn]), order[turn], times[turn], epoch, seed, augment, device)

        turns = np.array_split(np.arange(len(order)), self.steps(batch))
        yield from self._prefetch((partial(make, turn) for turn in turns[start:]), batch)

    def changed(self, numbers: NDArray[np.int64], *, epoch: int, seed: int, augment: Augment) -> Batch:
        """Return these pictures as a batch, with the changes that they have in an epoch. (B,) -> (B, H, W, C)."""
        return self._batch(self._pixels(numbers), numbers, np.zeros_like(numbers), epoch, seed, augment, None)

    def _prefetch(self, makes: Iterator[Callable[[], Batch]], batch: int) -> Iterator[Batch]:
        """Yield the batches that `makes` returns, in order; threads prefetch the next ones."""
        count = max(2, min(2 * cores(), self._prefetch_bytes // max(1, batch * int(np.prod(self._stored.shape)))))
        self.waited_s = 0.0
        for made, waited_s in prefetch(
            makes, count, threads=cores(), initializer=limit_to_one_thread if self.heavy else None
        ):
            self.waited_s += waited_s
            yield made

    def _batch(
        self,
        pixels: Pixels | torch.Tensor,
        numbers: NDArray[np.int64],
        times: NDArray[np.int64],
        epoch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None,
    ) -> Batch:
        if device is not None and device.type != "cpu":
            import torch

            edge = (0, 0) if any(self._edge) or self._has_margin else augment.edges(self._stored.sides)
            pixels = torch.from_numpy(padded(np.asarray(pixels), edge)).to(device, non_blocking=True)
        else:
            edge = (0, 0)
        targets = self.targets[numbers]
        # A repeated picture gets other draws in the same epoch.
        samples = numbers + times * len(self)
        pixels = augment(
            pixels,
            seed=seed,
            epoch=epoch,
            samples=samples,
            size=self.preprocess.sides,
            edge=edge if any(edge) or self._kept is None else self._edge,
        )
        pixels, mixed = augment.mix(pixels, targets, seed=seed, epoch=epoch, samples=samples)
        return Batch(pixels, targets, mixed)

    def reach(self, augment: Augment) -> float:
        """Return the largest shift of a picture, as a share of the input's shorter side; within a margin its half."""
        if not augment.shift or not self._has_margin:
            return augment.shift
        pairs = list(zip(self._stored.sides, self.preprocess.sides, strict=True))
        return max(stored - side for stored, side in pairs) / 2 / min(side for _, side in pairs)

    @property
    def _has_margin(self) -> bool:
        """Return whether pictures are kept larger than the input, so that crops can be shifted within them."""
        return self._stored.sides != self.preprocess.sides

    def _repeat_edges(self, augment: Augment) -> None:
        """Extend the edges of small kept pictures once, rather than those of every batch."""
        edge = augment.edges(self._stored.sides)
        extended = math.prod(side + 2 * more for side, more in zip(self._stored.sides, edge, strict=True))
        fits = len(self) * extended * self._stored.channels <= self._keep_bytes
        if self._kept is None or isinstance(self._kept, np.memmap) or any(self._edge) or not any(edge) or not fits:
            return
        if max(self._stored.sides) <= SMALL and not self._has_margin:
            self._kept, self._edge = padded(self._kept, edge), edge

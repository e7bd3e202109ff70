"""Pictures of a split as arrays, and the batches of an epoch, which threads prefetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError
from pennyweight.core.heap import keeping_memory
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment.augment import Augment
from pennyweight.data.augment.crops import padded
from pennyweight.data.augment.draws import draws
from pennyweight.data.balance import Balance, balanced_count, balanced_order
from pennyweight.data.batch import Batch
from pennyweight.data.decoded_cache import DecodedCache, Entry
from pennyweight.data.single_thread import limit_to_one_thread
from pennyweight.data.source import Sample, Unreadable

if TYPE_CHECKING:
    import torch

__all__ = ["Pictures"]

KEEP_BYTES = 1 << 29
CHUNK = 16
"""Pictures that a thread decodes before it reports."""
PREFETCH_BYTES = 128 << 20
"""Memory for prefetched batches, which are at least two."""


class Pictures:
    """Samples as the network sees them, decoded by `preprocess`; once, if they can be kept.

    `read` keeps the decoded pictures in memory if they fit into `keep_bytes`, else in the `cache`. Otherwise a picture
    is decoded each time. With `margin`, pictures keep the size to which `preprocess` resizes, so that `epoch` can shift
    the crop. `balance` makes `epoch` show rare classes more often.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        *,
        keep_bytes: int = KEEP_BYTES,
        cache: DecodedCache | None = None,
        margin: bool = False,
        balance: Balance | None = None,
    ) -> None:
        self.samples = samples
        self.preprocess = preprocess
        self.balance = balance
        self.targets = np.array([sample.label for sample in samples], dtype=np.int64)
        self.note: str | None = None
        """Line for the user if the pictures cannot be kept."""
        self.waited_s = 0.0
        """Seconds for which the consumer of the latest epoch waited for batches."""
        self.mapped = False
        """True to prefer the cache to memory, because all splits together exceed `keep_bytes`."""
        self.heavy = False
        """True if the latest epoch applied a policy, which changes pictures one by one."""
        self._stored = replace(preprocess, size=preprocess.resize) if margin else preprocess
        self._keep_bytes = keep_bytes
        self._cache = cache
        self._kept: Pixels | None = None
        self._entry: Entry | None = None
        """Cache entry that keeps the pictures, if one does."""
        self._rows = np.arange(len(samples))
        self._edge = 0
        """Pixels by which the edges of the kept pictures are extended, for crops that reach beyond."""
        # Decoders release the GIL, so threads are enough.
        self._pool = ThreadPoolExecutor(max_workers=cores())

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def bytes(self) -> int:
        """Return the size of all decoded pictures in bytes."""
        return len(self) * int(np.prod(self._stored.shape))

    @property
    def fits(self) -> bool:
        """Return whether the decoded pictures fit into `keep_bytes` of memory."""
        return self.bytes <= self._keep_bytes

    @property
    def advice(self) -> str:
        """Return advice for faster loading, besides more cores and less work."""
        return "" if self.kept else "room for decoded pictures (a larger disk at $PENNYWEIGHT_CACHE), "

    @property
    def kept(self) -> bool:
        """Return whether the decoded pictures are kept, in memory or in the cache."""
        return self._kept is not None

    @keeping_memory()
    def read(self, advance: Callable[[int], None] = lambda count: None) -> tuple[Unreadable, ...]:
        """Decode all pictures, leave out the unreadable ones and return them; call `advance(1)` after each picture."""
        if self._kept is not None:
            return ()
        mapped = self.mapped or not self.fits
        unreadable, self._kept = self._cached(advance) if mapped else self._in_memory(advance)
        failed = [Unreadable(self.samples[number].name, why) for number, why in sorted(unreadable.items())]
        self._rows = np.array([number for number in range(len(self)) if number not in unreadable], dtype=np.int64)
        if failed:
            self.samples = [self.samples[number] for number in self._rows.tolist()]
            self.targets = self.targets[self._rows]
        return tuple(failed)

    def _in_memory(self, advance: Callable[[int], None]) -> tuple[dict[int, str], Pixels]:
        kept = np.empty((len(self), *self._stored.shape), np.uint8)
        return self._decode_all(kept.__setitem__, advance), kept

    def _cached(self, advance: Callable[[int], None]) -> tuple[dict[int, str], Pixels | None]:
        """Return (reasons of the unreadable pictures, rows of the cache; None if the cache cannot keep them)."""
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            advance(more)

        entry = (
            self._cache.get(self.samples, self._stored, lambda row: self._decode_all(row, count))
            if self._cache is not None
            else None
        )
        if entry is None or isinstance(entry, str):
            if self.fits:
                return self._in_memory(advance)
            self.note = entry
            # Nothing keeps the pictures. They are decoded all the same, to find unreadable ones before an epoch.
            return self._decode_all(lambda number, pixels: None, advance), None
        if not done:
            advance(len(self))
        self._entry = entry
        return entry.unreadable, entry.pixels

    def _decode_all(self, row: Callable[[int, Pixels], None], advance: Callable[[int], None]) -> dict[int, str]:
        """Decode every picture and call `row(number, pixels)`; return number -> reason of the unreadable ones."""

        def decode(numbers: Sequence[int]) -> list[tuple[int, str]]:
            failed = []
            for number in numbers:
                try:
                    pixels = self._decode(number)
                except ImageError as error:
                    failed.append((number, str(error)))
                else:
                    row(number, pixels)
            return failed

        # In the order of names, which is that of files on disk and of rows in a table.
        order = sorted(range(len(self)), key=lambda number: self.samples[number].name)
        chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
        unreadable: dict[int, str] = {}
        for chunk, failed in zip(chunks, self._pool.map(decode, chunks), strict=True):
            unreadable.update(failed)
            for _ in chunk:
                advance(1)
        return unreadable

    def _decode(self, number: int) -> Pixels:
        sample = self.samples[number]
        return self._stored(sample.read(), name=sample.where)

    def pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        """Return pictures as `preprocess` gives them. Numbers of samples (B,) -> (B, H, W, C)."""
        return self._middle(self._pixels(numbers))

    def _middle(self, stored: Pixels) -> Pixels:
        """Crop kept pictures to the center of the input's size. (B, H, W, C) -> (B, size, size, C)."""
        size, side = self.preprocess.size, self._stored.size + 2 * (self._edge if self._kept is not None else 0)
        start = round((side - size) / 2)
        return stored[:, start : start + size, start : start + size] if side > size else stored

    def _pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        """Return pictures in the size in which they are kept. (B,) -> (B, H, W, C)."""
        if self._entry is not None:
            taken, damaged = self._entry.take(self._rows[numbers])
            for place in damaged:  # the disk returned other bytes than were written
                taken[place] = self._decode(int(numbers[place]))
            return taken
        if self._kept is not None:
            return self._kept.take(self._rows[numbers], axis=0)
        return np.stack(list(self._pool.map(self._decode, numbers.tolist())))

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
            epoch: number of the epoch.
            batch: largest number of pictures in a batch.
            seed: seed of the run; order and changes are drawn from (seed, epoch, sample).
            augment: changes of the pictures.
            device: accelerator that crops, mirrors and mixes whole batches, with the same bytes as the CPU.
            start: number of batches to skip.
        """
        self._repeat_edges(augment)
        self.heavy = augment.policy != "none"
        numbers = np.arange(len(self))
        if self._sampled:
            order, times = balanced_order(self.targets, seed=seed, epoch=epoch)
        else:
            order = np.argsort(draws(seed, epoch, numbers, 1)[:, 0], kind="stable")
            times = np.zeros(len(order), np.int64)

        def make(turn: NDArray[np.int64]) -> Batch:
            return self._batch(self._pixels(order[turn]), order[turn], times[turn], epoch, seed, augment, device)

        turns = np.array_split(np.arange(len(order)), self.steps(batch))
        yield from self._ahead((partial(make, turn) for turn in turns[start:]), batch)

    def _ahead(self, makes: Iterator[Callable[[], Batch]], batch: int) -> Iterator[Batch]:
        """Yield the batches that `makes` returns, in order; threads prefetch the next ones."""
        count = max(2, min(2 * cores(), PREFETCH_BYTES // max(1, batch * int(np.prod(self._stored.shape)))))
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

            edge = 0 if self._edge or self._stored.size > self.preprocess.size else augment.edge(self._stored.size)
            pixels = torch.from_numpy(padded(np.asarray(pixels), edge)).to(device, non_blocking=True)
        else:
            edge = 0
        targets = self.targets[numbers]
        # A repeated picture gets other draws in the same epoch.
        samples = numbers + times * len(self)
        pixels = augment(
            pixels,
            seed=seed,
            epoch=epoch,
            samples=samples,
            size=self.preprocess.size,
            edge=edge or (self._edge if self._kept is not None else 0),
        )
        pixels, mixed = augment.mix(pixels, targets, seed=seed, epoch=epoch, samples=samples)
        return Batch(pixels, targets, mixed)

    def _repeat_edges(self, augment: Augment) -> None:
        """Extend the edges of the kept pictures once, rather than those of every batch."""
        edge = augment.edge(self._stored.size)
        side = self._stored.size + 2 * edge
        fits = len(self) * side * side * self._stored.channels <= self._keep_bytes
        if self._kept is None or isinstance(self._kept, np.memmap) or self._edge or not edge or not fits:
            return
        if self._stored.size == self.preprocess.size:
            self._kept, self._edge = padded(self._kept, edge), edge

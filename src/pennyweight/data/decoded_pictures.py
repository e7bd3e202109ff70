"""Decoded pictures of some samples: decoded once and kept in memory or in the cache, if they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError
from pennyweight.core.figures import shape
from pennyweight.core.frame import Sides
from pennyweight.core.heap import keeping_memory
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores, memory_share
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.retries import retrying
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.decoded_cache import DecodedCache, Entry
from pennyweight.data.source import Sample, Unreadable

__all__ = ["CHUNK", "DecodedPictures", "keep_limit"]

KEEP_BYTES, KEEP_SHARE = 1 << 29, 1 / 8
"""Most bytes of decoded pictures in memory, and their largest share of the memory that this process may use."""
CHUNK = 16
"""Pictures that a thread decodes before it reports."""


def keep_limit() -> int:
    """Return the bytes of decoded pictures that may stay in memory: fewer in a container with little memory."""
    return memory_share(KEEP_BYTES, KEEP_SHARE)


class DecodedPictures(Summary):
    """Samples as arrays, decoded by `preprocess`; once, if they can be kept.

    `read` keeps the decoded pictures in memory if they fit into `keep_bytes` (default: `keep_limit`), else in the
    `cache`. Otherwise a picture is decoded each time. With `margin`, pictures keep the size to which `preprocess`
    resizes, so that a crop can be shifted.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        *,
        keep_bytes: int | None = None,
        cache: DecodedCache | None = None,
        margin: bool = False,
    ) -> None:
        self.samples = samples
        self.preprocess = preprocess
        self.targets = np.array([sample.label for sample in samples], dtype=np.int64)
        self.note: str | None = None
        """Line for the user if the pictures cannot be kept."""
        self.mapped = False
        """True to prefer the cache to memory, because all splits together exceed `keep_bytes`."""
        self._stored = replace(preprocess, size=preprocess.resize) if margin else preprocess
        self._keep_bytes = keep_limit() if keep_bytes is None else keep_bytes
        self._cache = cache
        self._kept: Pixels | None = None
        self._entry: Entry | None = None
        """Cache entry that keeps the pictures, if one does."""
        self._rows = np.arange(len(samples))
        self._edge: Sides = (0, 0)
        """Rows and columns by which the edges of the kept pictures are extended, for crops that reach beyond."""
        # Decoders release the GIL, so threads are enough.
        self._pool = ThreadPoolExecutor(max_workers=cores())

    def __len__(self) -> int:
        return len(self.samples)

    def _facts(self) -> Facts:
        yield "images", f"{len(self):,}"
        yield "classes", f"{len(np.unique(self.targets)):,}"
        height, width, channels = self.preprocess.shape
        yield "input", shape((channels, height, width))

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
        """Return advice for faster loading where the decoded pictures are not kept, else an empty text."""
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
        unreadable, self._kept = self._read_into_cache(advance) if mapped else self._read_into_memory(advance)
        failed = [Unreadable(self.samples[number].name, why) for number, why in sorted(unreadable.items())]
        self._rows = np.array([number for number in range(len(self)) if number not in unreadable], dtype=np.int64)
        if failed:
            self.samples = [self.samples[number] for number in self._rows.tolist()]
            self.targets = self.targets[self._rows]
        return tuple(failed)

    def _read_into_memory(self, advance: Callable[[int], None]) -> tuple[dict[int, str], Pixels]:
        kept = np.empty((len(self), *self._stored.shape), np.uint8)
        return self._decode_all(kept.__setitem__, advance), kept

    def _read_into_cache(self, advance: Callable[[int], None]) -> tuple[dict[int, str], Pixels | None]:
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
                return self._read_into_memory(advance)
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

    def _decode_known(self, number: int) -> Pixels:
        """Decode a picture that was readable before; retry failures of a disk that may pass. Raises ImageError."""
        try:
            return retrying(lambda: self._decode(number))
        except ImageError as error:
            raise ImageError(
                f"{error}; it could be read before, so its file has changed meanwhile, or its disk fails"
            ) from error

    def pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        """Return pictures as `preprocess` gives them. Numbers of samples (B,) -> (B, H, W, C)."""
        return self._center_crop(self._pixels(numbers))

    def _center_crop(self, stored: Pixels) -> Pixels:
        """Crop kept pictures to the center of the input's size. (B, H, W, C) -> (B, height, width, C)."""
        edges = self._edge if self._kept is not None else (0, 0)
        stored_sides = (side + 2 * edge for side, edge in zip(self._stored.sides, edges, strict=True))
        down, across = (
            slice(start := round((side - size) / 2), start + size)
            for side, size in zip(stored_sides, self.preprocess.sides, strict=True)
        )
        return stored[:, down, across]

    def _pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        """Return pictures in the size in which they are kept. (B,) -> (B, H, W, C)."""
        if self._entry is not None:
            taken, damaged = self._entry.take(self._rows[numbers])
            for place in damaged:  # the disk returned other bytes than were written
                taken[place] = self._decode_known(int(numbers[place]))
            return taken
        if self._kept is not None:
            return self._kept.take(self._rows[numbers], axis=0)
        return np.stack(list(self._pool.map(self._decode_known, numbers.tolist())))

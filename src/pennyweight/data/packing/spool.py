"""Pictures of sources that can only be read in order: compressed tars, servers without ranges, rows of tables.

A pack takes samples in an order of its own. So such a source is read in its order into a scratch file, from which the
shards are written. Where the disk has room for some of the shards only, the source is read once for each such part.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import islice

from pennyweight.core.cache import cache_folder, make_cache_folder
from pennyweight.data.packing.contents import encoded, shrunk
from pennyweight.data.readers.shard_index import Streamed
from pennyweight.data.source import Sample, Stored

__all__ = ["Spool", "in_order", "needs_order", "room"]

FREE_SHARE = 0.5
"""Share of the free disk that a scratch file may take."""
AT_ONCE = 64
"""Pictures that are read before they are made smaller together."""


def needs_order(samples: Sequence[Sample]) -> bool:
    """Return whether reading one of the samples alone means to read others."""
    return any(_is_slow(sample) for sample in samples)


def in_order(samples: Sequence[Sample]) -> list[Sample]:
    """Return samples in the order in which they are stored."""
    return sorted(samples, key=_position)


def room() -> int:
    """Return the bytes that a scratch file may take."""
    folder = cache_folder("spool")
    make_cache_folder(folder)
    return int(FREE_SHARE * shutil.disk_usage(folder).free)


class Spool:
    """Scratch file with the picture files of some samples. It has no name, so that a killed process leaves nothing."""

    def __init__(self, samples: Sequence[Sample], resize: int | None, pool: Executor) -> None:
        """Read the samples in their order.

        Args:
            samples: Samples, which the caller keeps.
            resize: Largest short side in pixels.
            pool: Threads that make pictures smaller.

        Raises:
            OSError: The disk is full.
        """
        ordered = in_order(samples)
        self._file = tempfile.TemporaryFile(dir=cache_folder("spool"))  # noqa: SIM115 - closed with the spool
        self._places: dict[int, tuple[int, int]] = {}
        start = 0
        read = zip(ordered, _read(ordered), strict=True)
        while some := list(islice(read, AT_ONCE)):
            stored = pool.map(partial(_shrunk, resize), some)
            for (sample, _), content in zip(some, stored, strict=True):
                self._file.write(content)
                self._places[id(sample)] = start, len(content)
                start += len(content)
        self._file.flush()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, sample: Sample) -> bytes:
        """Return the picture file of a sample; threads may call it at the same time."""
        start, size = self._places[id(sample)]
        return os.pread(self._file.fileno(), size, start)


def _shrunk(resize: int | None, read: tuple[Sample, bytes]) -> bytes:
    return shrunk(read[1], resize, read[0].name)


def _read(ordered: Sequence[Sample]) -> Iterator[bytes]:
    """Yield the picture file of each sample, unchanged."""
    numbers = [sample.picture.number for sample in ordered if isinstance(sample.picture, Streamed)]
    if numbers:
        first = ordered[0].picture
        assert isinstance(first, Streamed)
        yield from first.index.pictures(numbers)
    else:
        yield from (encoded(sample.read()) for sample in ordered)


def _is_slow(sample: Sample) -> bool:
    picture = sample.picture
    return picture.is_slow if isinstance(picture, Streamed) else isinstance(picture, Stored)


def _position(sample: Sample) -> tuple[str, int, int]:
    """Return the position of a sample in its source, for sorting."""
    picture = sample.picture
    if isinstance(picture, Streamed):
        return "", picture.number, 0
    return str(getattr(picture, "path", "")), getattr(picture, "group", 0), getattr(picture, "row", 0)

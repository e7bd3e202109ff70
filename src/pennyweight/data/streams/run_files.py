"""Picture files of a stream: where each one lies, and the runs of them that are read together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.data.readers.row_groups import COPIES
from pennyweight.data.readers.shard_index import Index
from pennyweight.data.streams.order import Layout, Read

__all__ = ["RunFiles", "layout_of", "sequence_bytes"]

PAGE_ROWS = 1024
"""Rows that a page of a table may have; pyarrow decodes whole pages."""
STREAM_BYTES = 1 << 20
"""Memory of an open file that is read from its start."""


def layout_of(index: Index, numbers: NDArray[np.int64], labels: NDArray[np.int64]) -> Layout:
    """Return where these samples of an index lie, as the order of an epoch needs it.

    Pictures of a tar with ranges can be read alone. Those of a compressed tar, of a server without ranges, or of a row
    group of a table are a sequence, which is read from its start.

    Args:
        index: The index.
        numbers: (N,) numbers of the samples in the index, ascending.
        labels: (N,) their classes.
    """
    files, places = index.file_of(numbers), index.places[numbers]
    tables = np.array([shard.is_table for shard in index.shards.files])[files]
    first = index.shards.files[int(files[0])]  # shards of one set lie on one server
    alone = ~tables & (places >= 0) & first.has_ranges
    groups = np.where(tables, places, 0)
    changes = np.append(True, (np.diff(files) != 0) | (np.diff(groups) != 0))
    sequences = np.where(alone, -1, np.cumsum(changes) - 1)
    stored = np.cumsum(index.sizes[numbers])
    return Layout(labels, files, np.where(alone, places, stored), sequences)


def sequence_bytes(index: Index, numbers: NDArray[np.int64], layout: Layout) -> int:
    """Return about how much memory a sequence takes while it is read; 0 without sequences."""
    inside = layout.sequences >= 0
    if not inside.any():
        return 0
    sizes = index.sizes[numbers[inside]]
    if not any(index.shards.files[file].is_table for file in np.unique(layout.files[inside]).tolist()):
        return STREAM_BYTES + int(sizes.max())
    rows = int(np.bincount(layout.sequences[inside]).max())
    return STREAM_BYTES + COPIES * min(rows, PAGE_ROWS) * int(sizes.mean())


class RunFiles:
    """Picture files of an epoch, read in runs of neighboring pictures.

    Raises SourceError for a shard that has changed since it was indexed.
    """

    def __init__(self, index: Index, numbers: NDArray[np.int64], layout: Layout) -> None:
        self._index, self._numbers, self._layout = index, numbers, layout
        self._open: dict[int, tuple[Iterator[bytes], int]] = {}
        """Sequence -> (its further pictures, number in the index of the next one)."""

    def __call__(self, read: Read) -> list[bytes]:
        """Return the picture files of a run; runs of a sequence must come one after the other, in their order."""
        numbers = self._numbers[read.numbers]
        pictures = self._read_range(numbers) if read.sequence < 0 else self._read_on(read.sequence, numbers)
        if read.last and read.sequence >= 0:
            self._open.pop(read.sequence, None)
        for number, picture in zip(numbers.tolist(), pictures, strict=True):
            self._require_same(number, picture)
        return pictures

    def _read_range(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """Return neighbors of a tar by a single request."""
        shard = self._index.shards.files[int(self._index.file_of(numbers[:1])[0])]
        starts = self._index.places[numbers]
        stops, first = starts + self._index.sizes[numbers], int(starts.min())
        content = memoryview(shard.read(first, int(stops.max())))
        places = zip((starts - first).tolist(), (stops - first).tolist(), strict=True)
        return [bytes(content[start:stop]) for start, stop in places]

    def _read_on(self, sequence: int, numbers: NDArray[np.int64]) -> list[bytes]:
        """Return further pictures of a sequence, whose reader is kept open."""
        file = int(self._index.file_of(numbers[:1])[0])
        shard, first = self._index.shards.files[file], int(self._index.starts[file])
        if sequence not in self._open:
            if shard.is_table:
                group = int(self._index.places[numbers[0]])
                first += int(np.searchsorted(self._index.places[first : self._index.starts[file + 1]], group))
                self._open[sequence] = shard.group(group), first
            else:
                self._open[sequence] = (example.picture for example in shard.examples()), first
        pictures, place = self._open[sequence]
        found: list[bytes] = []
        for number in numbers.tolist():
            picture = next(islice(pictures, number - place, None), None)
            place = number + 1
            found.append(b"" if picture is None else picture)
        self._open[sequence] = pictures, place
        return found

    def _require_same(self, number: int, picture: bytes) -> None:
        """Raise SourceError for a picture other than the index knows."""
        digest = self._index.columns["digest"][number]
        same = len(picture) == self._index.sizes[number]
        if same and (not digest or hashlib.sha256(picture).hexdigest().encode() == digest):
            return
        file = int(self._index.file_of(np.array([number]))[0])
        raise SourceError(
            f"{self._index.shards.files[file].shown} has changed since it was first read: "
            f"sample {number - int(self._index.starts[file]) + 1} differs; begin a new run"
        )

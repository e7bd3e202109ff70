"""Row groups of Parquet files: read in batches of bounded bytes, and the last ones kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pennyweight.core.machine import memory_share
from pennyweight.core.reading import reading, require_plausible

__all__ = ["COPIES", "KeptGroups", "batches", "largest_group", "open_file"]

AT_ONCE, BATCH_BYTES = 32, 1 << 20
"""Most rows, and most bytes of several rows, that are read together."""
COPIES = 3
"""Copies of a page that pyarrow holds: as stored, unpacked, and in rows. A row group of large pictures is one page."""
KEPT_BYTES, KEPT_SHARE = 256_000_000, 1 / 16
"""Most bytes of row groups that are kept, and their largest share of the memory of this process."""


def open_file(path: Path) -> Any:
    """Open a Parquet file on disk. Raises SourceError."""
    import pyarrow.parquet as parquet_files  # takes 0.1 s, so only where a Parquet file is opened

    with reading(f"{path} as a Parquet file"):
        return parquet_files.ParquetFile(path, memory_map=True)


def largest_group(table: Any) -> int:
    """Return the bytes of the largest row group of an open file, unpacked."""
    meta = table.metadata
    return max((meta.row_group(group).total_byte_size for group in range(table.num_row_groups)), default=0)


def batches(
    table: Any, stored: int, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[Any]:
    """Yield the rows of an open file of `stored` bytes in small batches, each of one row group.

    Raises ValueError for a decompression bomb: pages can expand a thousandfold, and a dictionary page can repeat one
    picture in a million rows.
    """
    import pyarrow

    chosen = range(table.num_row_groups) if groups is None else groups
    parts = [table.metadata.row_group(group) for group in chosen]
    for part in parts:
        # The sizes of its columns are not read: damaged column statistics make pyarrow abort the process.
        require_plausible(part.total_byte_size, stored)
    grown = 0
    for group, part in zip(chosen, parts, strict=True):
        fits = BATCH_BYTES * part.num_rows // max(1, part.total_byte_size)
        at_once = max(1, min(AT_ONCE, fits))
        for batch in table.iter_batches(batch_size=at_once, columns=columns, row_groups=[group]):
            grown += batch.nbytes
            require_plausible(grown, stored)
            yield batch
        if part.total_byte_size > BATCH_BYTES:
            pyarrow.default_memory_pool().release_unused()


class KeptGroups:
    """Columns of the row groups that were read last: at most KEPT_BYTES of them, or a single one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, str, int], Any] = OrderedDict()
        self._changing = threading.Lock()

    def column(self, path: Path, column: str, group: int) -> Any:
        """Return a column of a row group. Raises SourceError."""
        key = path, column, group
        with self._changing:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = _read_column(path, column, group)
        most = memory_share(KEPT_BYTES, KEPT_SHARE)
        with self._changing:
            self._kept[key] = found
            while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > most:
                self._kept.popitem(last=False)
        return found


def _read_column(path: Path, column: str, group: int) -> Any:
    import pyarrow

    table = open_file(path)
    with reading(f"{path} as a Parquet file"):
        found = [batch.column(0) for batch in batches(table, path.stat().st_size, [column], [group])]
        return pyarrow.chunked_array(found, table.schema_arrow.field(column).type).combine_chunks()

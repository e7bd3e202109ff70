"""Samples of a Parquet file: rows with a picture, and a class in a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from pennyweight.data.readers.columns import parse_split
from pennyweight.data.readers.example import Example
from pennyweight.data.readers.parquet import Columns, columns_of, picture_and_class
from pennyweight.data.readers.row_groups import batches

__all__ = ["open_table", "read_table"]


BUFFER = 1 << 18
"""Bytes that are read together. Without a buffer pyarrow reads the column of a whole row group first."""


def open_table(file: IO[bytes]) -> Any:
    """Open a Parquet file that can seek."""
    import pyarrow.parquet as parquet_files

    return parquet_files.ParquetFile(file, buffer_size=BUFFER)


def read_table(file: IO[bytes], url: str) -> Iterator[Example]:
    """Yield a sample for each row, in order. Raises SourceError for a table without pictures or classes.

    Args:
        file: The open file, which can seek.
        url: Its address; the keys of samples begin with its last part.
    """
    table = open_table(file)
    columns = columns_of(table, url)
    name, stored = url.rpartition("/")[2], file.seek(0, 2)
    wanted = [column for column in (columns.picture, columns.label, columns.split) if column]
    place = 0
    for group in range(table.num_row_groups):
        for rows in batches(table, stored, wanted, [group]):
            for row in rows.to_pylist():
                yield _example(f"{name}:{place:06d}", row, columns, group)
                place += 1


def _example(key: str, row: dict[str, Any], columns: Columns, group: int) -> Example:
    split = parse_split(row[columns.split], f"{key}") if columns.split else None
    try:
        picture, label, lack = picture_and_class(row[columns.picture], row[columns.label], columns.label)
    except ValueError as fault:
        picture, label, lack = b"", "", str(fault)
    return Example(key, picture, label, group, f"{key} {lack}" if lack else "", split=split)

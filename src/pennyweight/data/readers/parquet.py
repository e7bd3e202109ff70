"""Pictures in Parquet files: a column with the bytes of picture files, as Hugging Face writes them, and their labels.

Nothing is unpacked: reading one row reads its row group, and the last row groups stay in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.images import Header
from pennyweight.core.reading import reading
from pennyweight.core.text import composed
from pennyweight.data.digests import digests_of_file
from pennyweight.data.readers.columns import (
    COLUMNS,
    doubtful_classes_notes,
    find_column,
    number_classes,
    parse_group,
    parse_split,
    split_prefix,
    whole_numbers_note,
)
from pennyweight.data.readers.example import class_text
from pennyweight.data.readers.input_size import aspect_of, header_or_none, suggest_input
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.row_groups import KeptGroups, batches, open_file
from pennyweight.data.source import Sample, Source, Split, Unreadable

__all__ = [
    "columns_of",
    "content_of",
    "contents",
    "has_pictures",
    "picture_and_class",
    "read_parquet",
    "rows",
]

GROUPS = KeptGroups()


@dataclass(frozen=True, slots=True)
class Row:
    """A picture file in a row of a Parquet file."""

    path: Path
    column: str
    group: int
    """Index of the row group."""
    row: int
    """Index within the row group."""

    def read(self) -> bytes:
        """Return the bytes of the picture file; its row group stays in memory."""
        return content_of(GROUPS.column(self.path, self.column, self.group)[self.row].as_py())


def has_pictures(path: Path) -> bool:
    """Return whether a Parquet file holds the bytes of pictures, rather than their paths."""
    with reading(f"{path} as a Parquet file"):
        return _picture_column(open_file(path)) is not None


def read_parquet(
    files: Sequence[Path], *, name: str, address: str, group_by: str | None = None, read_as: ReadAs | None = None
) -> Source:
    """Read the pictures of Parquet files; a file named train-…, val-… or test-… is that split.

    Args:
        files: The Parquet files.
        name: Name of the source.
        address: String that opens the source again.
        group_by: Column whose equal values keep pictures in one split.
        read_as: Columns that the user named.

    Raises:
        SourceError: A file lacks a column of pictures or of labels.
    """
    splits: dict[Path, Split | None] = {path: split_prefix(path.stem) for path in files}
    if None in splits.values():
        splits = dict.fromkeys(files)
    read: list[tuple[Sample, str, Header | None]] = []
    unreadable: list[Unreadable] = []
    names: Sequence[str] | None = None
    for path in files:
        with reading(f"{path} as a Parquet file"):
            table = open_file(path)
            columns = columns_of(table, path, read_as)
            names = names or columns.names
            for row in _samples(path, table, columns, splits[path], group_by):
                (unreadable if isinstance(row, Unreadable) else read).append(row)  # type: ignore[arg-type]
    if not read:
        raise SourceError(f"no row of {address} can be used: {unreadable[0].reason if unreadable else 'it has none'}")
    labels, number = number_classes([found for _, found, _ in read], names, name)
    suggested = suggest_input((sample.name, found) for sample, _, found in read)
    return Source(
        name=name,
        address=address,
        labels=labels,
        samples=tuple(replace(sample, label=number[found]) for sample, found, _ in read),
        size=suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(*whole_numbers_note(number), *doubtful_classes_notes(labels), *suggested.notes),
        unreadable=tuple(unreadable),
        read_as={} if read_as is None else read_as.to_dict(),
    )


class Columns(NamedTuple):
    """Columns of a table with pictures, labels and splits."""

    picture: str
    label: str
    split: str | None
    names: Sequence[str] | None
    """Names of numbered classes, from Hugging Face's metadata in the file; None without it."""


def columns_of(table: Any, where: object, read_as: ReadAs | None = None) -> Columns:
    """Return the columns of an open file. Raises SourceError for a table without pictures or classes."""
    how, there = read_as or ReadAs(), table.schema_arrow.names
    picture = _choose_picture_column(table, where, how)
    label, split = (how.column(there, meaning, where) for meaning in ("label", "split"))
    if picture is None or label is None:
        raise SourceError(
            f"{where} has the columns {', '.join(table.schema_arrow.names)}; pictures need one of "
            f"{', '.join(COLUMNS['picture'])} with the bytes of files, and one of {', '.join(COLUMNS['label'])}"
        )
    return Columns(picture, label, split, _label_names(table, label))


def _choose_picture_column(table: Any, where: object, read_as: ReadAs) -> str | None:
    """Return the column of pictures that the user named, else the one found by name and type."""
    if "picture" in read_as.columns:
        return read_as.column(table.schema_arrow.names, "picture", where)
    return _picture_column(table)


def content_of(value: Any, *, strict: bool = True) -> bytes:
    """Return the picture file in a cell: bytes, a struct with `bytes`, or a list of one.

    A list of more raises ValueError; without `strict` it holds no picture.
    """
    if isinstance(value, list):
        if len(value) > 1 and strict:
            raise ValueError(f"has {len(value)} pictures; a sample has one")
        value = value[0] if len(value) == 1 else None
    value = value.get("bytes") if isinstance(value, dict) else value
    return bytes(value or b"")


def contents(path: Path, read_as: ReadAs) -> Iterator[bytes | None] | None:
    """Return an iterator over the picture of each row, None for an empty cell; None for a table without pictures."""
    with reading(f"{path} as a Parquet file"):
        table = open_file(path)
        picture = _choose_picture_column(table, path, read_as)
    return None if picture is None else _contents(path, table, picture)


def _contents(path: Path, table: Any, picture: str) -> Iterator[bytes | None]:
    with reading(f"{path} as a Parquet file"):
        for batch in batches(table, path.stat().st_size, [picture]):
            for value in batch.column(0):
                yield content_of(value.as_py()) or None


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file that is a manifest: values without pictures."""
    with reading(f"{path} as a Parquet file"):
        for batch in batches(open_file(path), path.stat().st_size):
            yield from batch.to_pylist()


def _samples(
    path: Path, table: Any, columns: Columns, split: Split | None, group_by: str | None
) -> Iterator[tuple[Sample, str, Header | None] | Unreadable]:
    """Yield (sample without its label, label as written, header) for every row, or the reason against the row."""
    names, picture, label, split_column = table.schema_arrow.names, columns.picture, columns.label, columns.split
    others = [label, *([split_column] if split_column else []), *([group_by] if group_by and group_by in names else [])]
    for group in range(table.num_row_groups):
        pictures = GROUPS.column(path, picture, group)
        with reading(f"{path} as a Parquet file"):
            values: dict[str, list[Any]] = {name: [] for name in others}
            for batch in batches(table, path.stat().st_size, list(values), [group]):
                for name, found in batch.to_pydict().items():
                    values[name] += found
        for row in range(len(pictures)):
            key = f"{path.name}:{group:05d}:{row:06d}"
            try:
                content, written, lack = picture_and_class(pictures[row].as_py(), values[label][row], label)
            except ValueError as fault:
                raise SourceError(f"row {row} of {path} {fault}") from fault
            if lack:
                yield Unreadable(key, f"{key} {lack}")
                continue
            found_header, digests = header_or_none(content), digests_of_file(content)
            yield (
                Sample(
                    Row(path, picture, group, row),
                    0,
                    digests.content,
                    parse_split(values[split_column][row], f"row {row} of {path}") if split_column else split,
                    key,
                    parse_group(values[group_by][row]) if group_by in others and group_by else None,
                    aspect_of(found_header),
                    digests.file,
                ),
                written,
                found_header,
            )


def picture_and_class(picture: Any, label: Any, column: str) -> tuple[bytes, str, str]:
    """Return picture, class, and the reason if one of them is missing. Raises ValueError for cells of another kind."""
    content, written = content_of(picture), composed(class_text(label, column))
    lack = "" if written else "has no class"
    if not content:
        value = picture[0] if isinstance(picture, list) and picture else picture
        there = value.get("path") if isinstance(value, dict) else None
        lack = f"has the path {there} in place of the picture's bytes" if there else "has no picture"
    return content, written, lack


def _picture_column(table: Any) -> str | None:
    """Return the column that holds picture files: binary, a struct with `bytes`, or lists of them; None without one."""
    from pyarrow import types

    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    binaries = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)

    def holds(kind: Any) -> bool:
        if any(each(kind) for each in lists) or types.is_dictionary(kind):
            return holds(kind.value_type)
        if types.is_struct(kind):
            return bool(kind.get_field_index("bytes") >= 0)
        return any(each(kind) for each in binaries)

    found = [field.name for field in table.schema_arrow if holds(field.type)]
    return find_column(found, "picture") or (found[0] if len(found) == 1 else None)


def _label_names(table: Any, label: str) -> Sequence[str] | None:
    metadata = (table.schema_arrow.metadata or {}).get(b"huggingface")
    try:
        names = json.loads(metadata)["info"]["features"][label]["names"] if metadata else None
    except (ValueError, KeyError, TypeError, RecursionError):  # metadata of another program, in any form
        return None
    return [str(name) for name in names] if isinstance(names, list) else None

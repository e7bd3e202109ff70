"""Manifests: tables (CSV, TSV, JSON lines, Parquet) with a row for each picture: path, label and optional split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.readers import parquet
from pennyweight.data.readers.columns import (
    COLUMNS,
    doubtful_classes_notes,
    number_classes,
    parse_group,
    parse_label,
    parse_split,
)
from pennyweight.data.readers.contents import Listed, lost_classes, read_samples
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.rows import numbered_rows, rows_of
from pennyweight.data.readers.side_tables import TRIED, Table, columns_of, file_of, options_for, text_of
from pennyweight.data.source import Source

__all__ = ["pictures_of", "read_manifest"]


def read_manifest(
    tables: Sequence[Table],
    root: Path,
    *,
    name: str,
    address: str,
    group_by: str | None = None,
    inside: bool = False,
    read_as: ReadAs | None = None,
) -> Source:
    """Read the pictures that tables list. A label is a class name or a number.

    Args:
        tables: The tables; a relative path in a table starts at the table's folder.
        root: Folder that the names of samples are relative to.
        name: Name of the source.
        address: String that opens the source again.
        group_by: Column whose equal values keep pictures in one split.
        inside: Refuse paths that lead out of the table's folder, as for a table from an archive.
        read_as: Columns, folder and file ending that the user gave.

    Raises:
        SourceError: A table lacks a column of paths or labels, or none of its files exists.
        InputError: The folder that `read_as.pictures` names does not exist.
    """
    how = read_as or ReadAs()
    if how.pictures is not None and not any((table.path.parent / how.pictures).is_dir() for table in tables):
        raise InputError(f"pictures are in a folder, and there is none at {how.pictures}, here or next to the table")
    rows = [row for table in tables for row in _listed(table, root, group_by, inside, how)]
    where = " and ".join(str(table.path) for table in tables)
    if not rows:
        raise SourceError(f"{where} lists no pictures; it needs a row for each, with its path and its label")
    given = {row[2] for row, _ in rows}
    if None in given and len(given) > 1:
        raise SourceError(f"{where} gives some of its rows a split and others none; give it to all, or to none")
    names, numbers = number_classes([label for _, label in rows], None, name)
    listed: list[Listed] = [(f, numbers[label], s, text, g) for (f, _, s, text, g), label in rows]
    found = read_samples(listed)
    samples, unreadable, suggested = found
    if not samples:
        options = options_for([file for (file, *_), _ in rows[:TRIED] if isinstance(file, Path)], root)
        hint = f"; try {options}" if options else ""
        raise SourceError(f"{where} lists {len(rows)} pictures and none of them is there; {unreadable[0].reason}{hint}")
    return Source(
        name=name,
        address=address,
        labels=names,
        samples=samples,
        size=suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(*doubtful_classes_notes(names), *suggested.notes),
        unreadable=unreadable,
        refusals=lost_classes(names, listed, found, name),
        read_as=how.to_dict(),
    )


def pictures_of(path: Path, read_as: ReadAs | None = None) -> Iterator[Path | bytes | str | None]:
    """Yield the picture of each row of a table: a path, an address, or bytes; None for an empty cell.

    Labels are not needed. Raises SourceError for a table without a column of pictures.
    """
    how = read_as or ReadAs()
    if path.suffix.lower() == ".parquet":
        pictures = parquet.contents(path, how)
        if pictures is not None:
            yield from pictures
            return
    files = ""
    for number, row in enumerate(rows_of(path)):
        if not number:
            files = how.column(row, "path", path) or ""
            if not files:
                known = ", ".join(COLUMNS["path"])
                raise SourceError(
                    f"{path} has the columns {', '.join(map(str, row))}; its pictures need one of {known}; "
                    "another is named by --columns path=NAME"
                )
        text = str(row.get(files) or "").strip()
        if "://" in text:
            yield text
        else:
            yield file_of(path.parent, text, how) if text and "\0" not in text else None


def _listed(
    table: Table, root: Path, group_by: str | None, inside: bool, read_as: ReadAs
) -> Iterator[tuple[Listed, str]]:
    """Yield (a file with the other values of its row, the label as written) for each row."""
    path, columns = table.path, None
    prefix = path.parent.relative_to(root).as_posix() + "/" if path.parent != root else ""
    for number, row in numbered_rows(path):
        where = f"line {number} of {path}"
        columns = columns or columns_of(row, path, read_as)
        text = text_of(row, columns.path)
        if not text:
            raise SourceError(f"{where} has no path; give each picture one")
        if "\0" in text:
            raise SourceError(f"{where} has a path with a zero byte, which no file has")
        if columns.label is not None:
            label = parse_label(row.get(columns.label), where)
        else:
            label = parse_label(read_as.label_of(text), f"{where} ({text})")
        file = file_of(path.parent, text, read_as)
        if inside and not file.resolve().is_relative_to(path.parent.resolve()):
            raise SourceError(f"{where} leads out of its archive: {text}")
        split = parse_split(row.get(columns.split), where) if columns.split and table.split is None else table.split
        group = parse_group(row.get(group_by)) if group_by else None
        yield (file, 0, split, f"{prefix}{text}", group), label

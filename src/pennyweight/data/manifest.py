"""A manifest: a CSV, TSV or Parquet table with a row for each picture: its path, its label, and its split or none."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pennyweight.core.errors import SourceError
from pennyweight.data import parquet
from pennyweight.data.columns import COLUMNS, column, group_name, label_name, label_names, split_name
from pennyweight.data.contents import Listed, read_samples, require_classes
from pennyweight.data.source import Source

__all__ = ["SUFFIXES", "manifest", "pictures_of"]

SUFFIXES = (".csv", ".tsv", ".parquet")
DELIMITERS = ",;\t|"


def manifest(path: Path, *, name: str, address: str, group_by: str | None = None, inside: bool = False) -> Source:
    """The pictures that a table lists; relative paths start at the table's folder.

    A label is a class name, or a number. `group_by` names a column. With `inside`, as for a table that came in an
    archive, paths must stay in its folder. Raises SourceError for a table without the columns, or without one file.
    """
    rows = parquet.rows(path) if path.suffix.lower() == ".parquet" else _rows(path)
    listed: list[tuple[Listed, str]] = []
    files = labels = splits = ""
    for number, row in enumerate(rows, 2):
        where = f"line {number} of {path}"
        if number == 2:
            files, labels, splits = (column(row, meaning) or "" for meaning in ("path", "label", "split"))
            if not files or not labels or files == labels:
                raise SourceError(
                    f"{path} has the columns {', '.join(map(str, row))}; a manifest needs one of "
                    f"{', '.join(COLUMNS['path'])}, and one of {', '.join(COLUMNS['label'])}"
                )
        text, label = str(row.get(files) or "").strip(), label_name(row.get(labels), where)
        if not text:
            raise SourceError(f"{where} has no path; give each picture one")
        if "\0" in text:
            raise SourceError(f"{where} has a path with a zero byte, which no file has")
        file = _file(path.parent, text)
        if inside and not file.resolve().is_relative_to(path.parent.resolve()):
            raise SourceError(f"{where} leads out of its archive: {text}")
        split = split_name(row.get(splits), where) if splits else None
        group = group_name(row.get(group_by)) if group_by else None
        listed.append(((file, 0, split, text, group), label))
    if not listed:
        raise SourceError(f"{path} lists no pictures; it needs a row for each, with its path and its label")
    given = {row[2] for row, _ in listed}
    if None in given and len(given) > 1:
        raise SourceError(f"{path} gives some of its rows a split and others none; give it to all, or to none")
    names, numbers = label_names([label for _, label in listed], None, path.name)
    samples, unreadable, suits = read_samples([(f, numbers[label], s, text, g) for (f, _, s, text, g), label in listed])
    if not samples:
        raise SourceError(f"{path} lists {len(listed)} pictures and none of them is there; {unreadable[0].reason}")
    require_classes(names, samples, unreadable, name)
    return Source(
        name=name,
        address=address,
        labels=names,
        samples=samples,
        size=suits.size,
        channels=suits.channels,
        wide=suits.wide,
        notes=suits.notes,
        unreadable=unreadable,
    )


def pictures_of(path: Path) -> Iterator[Path | bytes | None]:
    """Yield the picture of each row of a table: a path or, of a Parquet file, its bytes; None for an empty cell.

    Labels are not asked for. Raises SourceError for a table without such a column.
    """
    if path.suffix.lower() == ".parquet":
        pictures = parquet.contents(path)
        if pictures is not None:
            yield from pictures
            return
    files = ""
    for number, row in enumerate(parquet.rows(path) if path.suffix.lower() == ".parquet" else _rows(path)):
        if not number:
            files = column(row, "path") or ""
            if not files:
                known = ", ".join(COLUMNS["path"])
                raise SourceError(
                    f"{path} has the columns {', '.join(map(str, row))}; its pictures need one of {known}"
                )
        text = str(row.get(files) or "").strip()
        yield _file(path.parent, text) if text and "\0" not in text else None


def _file(folder: Path, text: str) -> Path:
    """The file that a row names. Tables that Windows made have backslashes, which elsewhere are part of a name."""
    file = folder / text
    return folder / text.replace("\\", "/") if "\\" in text and not os.path.lexists(file) else file


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV or TSV file; the delimiter is whichever its heading has most of."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = file.readline()
            delimiter = max(DELIMITERS, key=heading.count)
            file.seek(0)
            rows = csv.DictReader(file, delimiter=delimiter)
            for row in rows:
                if any(row.pop(None, ())):  # what csv has for cells without a heading
                    raise SourceError(
                        f"line {rows.line_num} of {path} has more cells than the heading; put quotes about a path or a "
                        f"label that holds '{delimiter}'"
                    )
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"cannot read {path} as a table: {error}") from error

"""A manifest: a table (CSV, TSV, JSON lines, Parquet) with a row for each picture: path, label, and split or none."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.images import EXTENSIONS
from pennyweight.data import parquet
from pennyweight.data.columns import COLUMNS, column, group_name, label_name, label_names, split_name
from pennyweight.data.contents import Listed, lost_classes, read_samples
from pennyweight.data.layout import split_named
from pennyweight.data.read_as import ReadAs
from pennyweight.data.rows import SUFFIXES, rows_of
from pennyweight.data.source import Source, Split

__all__ = ["SUFFIXES", "Table", "find_tables", "lists_pictures", "manifest", "pictures_of"]

NAMES = ("manifest", "metadata", "labels", "train")
"""Names of a table beside pictures that makes their folder a manifest's."""
TRIED = 50
"""Rows of a table of which one must name a picture that is there, for the table to be a manifest."""


class Table(NamedTuple):
    """A file with rows, and the split of all of them, where its folder is one's."""

    path: Path
    split: Split | None = None


class _Columns(NamedTuple):
    path: str
    label: str | None
    split: str | None


def manifest(
    tables: Sequence[Table],
    root: Path,
    *,
    name: str,
    address: str,
    group_by: str | None = None,
    inside: bool = False,
    read_as: ReadAs | None = None,
) -> Source:
    """The pictures that tables list; relative paths start at the table's folder, and are named from `root`.

    A label is a class name, or a number. `group_by` names a column. With `inside`, as for a table that came in an
    archive, paths must stay in its folder. Raises SourceError for a table without the columns, or without one file.
    """
    how = read_as or ReadAs()
    if how.pictures is not None and not any((table.path.parent / how.pictures).is_dir() for table in tables):
        raise InputError(f"pictures are in a folder, and there is none at {how.pictures}, here or beside the table")
    rows = [row for table in tables for row in _listed(table, root, group_by, inside, how)]
    where = " and ".join(str(table.path) for table in tables)
    if not rows:
        raise SourceError(f"{where} lists no pictures; it needs a row for each, with its path and its label")
    given = {row[2] for row, _ in rows}
    if None in given and len(given) > 1:
        raise SourceError(f"{where} gives some of its rows a split and others none; give it to all, or to none")
    names, numbers = label_names([label for _, label in rows], None, name)
    listed: list[Listed] = [(f, numbers[label], s, text, g) for (f, _, s, text, g), label in rows]
    found = read_samples(listed)
    samples, unreadable, suits = found
    if not samples:
        hint = _nearby(rows[0][0][0], root, how)
        raise SourceError(f"{where} lists {len(rows)} pictures and none of them is there; {unreadable[0].reason}{hint}")
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
        refusals=lost_classes(names, listed, found, name),
        read_as=how.to_dict(),
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
    for number, row in enumerate(rows_of(path)):
        if not number:
            files = column(row, "path") or ""
            if not files:
                known = ", ".join(COLUMNS["path"])
                raise SourceError(
                    f"{path} has the columns {', '.join(map(str, row))}; its pictures need one of {known}"
                )
        text = str(row.get(files) or "").strip()
        yield _file(path.parent, text, ReadAs()) if text and "\0" not in text else None


def find_tables(folder: Path, *, lone: bool) -> list[Table]:
    """The tables in a folder that are called like a manifest, else those in its split folders; with `lone` a table that
    is alone, whatever its name."""
    here = _tables_in(folder)
    named = [Table(file) for file in here if file.stem.lower() in NAMES]
    if named or (lone and len(here) == 1):
        return named if named else [Table(here[0])]
    inner = []
    for child in sorted(child for child in folder.iterdir() if child.is_dir()):
        split = split_named(child.name)
        files = [file for file in _tables_in(child) if file.stem.lower() in NAMES]
        inner += [Table(file, split) for file in files if split is not None]
    return inner if any(table.split == "train" for table in inner) else []


def _tables_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    return [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]


def lists_pictures(path: Path, read_as: ReadAs) -> str | None:
    """None for a table whose first rows name a picture that is there; else why it is no manifest."""
    try:
        rows = list(islice(rows_of(path), TRIED))
        if not rows:
            return f"{path.name} has no rows"
        columns = _columns(rows[0], path, read_as)
    except SourceError as error:
        return str(error)
    texts = [text for row in rows if (text := _text(row, columns.path))]
    if any(_file(path.parent, text, read_as).is_file() for text in texts):
        return None
    return f"none of the pictures that {path.name} names is there, such as {texts[0] if texts else 'its first'}"


def _listed(
    table: Table, root: Path, group_by: str | None, inside: bool, read_as: ReadAs
) -> Iterator[tuple[Listed, str]]:
    """(a file with the others of its row, its label as it stands) of each row."""
    path, columns = table.path, None
    prefix = path.parent.relative_to(root).as_posix() + "/" if path.parent != root else ""
    for number, row in enumerate(rows_of(path), 2):
        where = f"line {number} of {path}"
        columns = columns or _columns(row, path, read_as)
        text = _text(row, columns.path)
        if not text:
            raise SourceError(f"{where} has no path; give each picture one")
        if "\0" in text:
            raise SourceError(f"{where} has a path with a zero byte, which no file has")
        if columns.label is not None:
            label = label_name(row.get(columns.label), where)
        else:
            label = label_name(read_as.label_of(text), f"{where} ({text})")
        file = _file(path.parent, text, read_as)
        if inside and not file.resolve().is_relative_to(path.parent.resolve()):
            raise SourceError(f"{where} leads out of its archive: {text}")
        split = split_name(row.get(columns.split), where) if columns.split and table.split is None else table.split
        group = group_name(row.get(group_by)) if group_by else None
        yield (file, 0, split, f"{prefix}{text}", group), label


def _columns(row: Mapping[str, Any], path: Path, read_as: ReadAs) -> _Columns:
    """Raises SourceError for a table without a column of paths or of labels."""
    files, labels, splits = (read_as.column(row, meaning, path) for meaning in ("path", "label", "split"))
    labels = None if read_as.label_from is not None and "label" not in read_as.columns else labels
    if files is None or (labels is None and read_as.label_from is None) or files == labels:
        there = [str(name) for name in row]
        heads = (
            "; its first line is no heading" if any(Path(name).suffix.lower() in EXTENSIONS for name in there) else ""
        )
        raise SourceError(
            f"{path} has the columns {', '.join(there)}{heads}; a manifest needs one of {', '.join(COLUMNS['path'])}, "
            f"and one of {', '.join(COLUMNS['label'])}; others are named by --columns path=NAME,label=NAME"
        )
    return _Columns(files, labels, splits)


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _file(folder: Path, text: str, read_as: ReadAs) -> Path:
    """The file that a row names. Tables that Windows made have backslashes, which elsewhere are part of a name."""
    start = folder / (read_as.pictures or "")
    text = text if text.lower().endswith(read_as.ending.lower()) else text + read_as.ending
    file = start / text
    if os.path.lexists(file):
        return file
    slashed = text.replace("\\", "/")
    # A table of a Mac and files of another system, or the other way, store accents in different ways.
    others = [start / unicodedata.normalize(form, slashed) for form in ("NFC", "NFD")]
    return next((other for other in others if os.path.lexists(other)), start / slashed)


def _nearby(file: Path, root: Path, read_as: ReadAs) -> str:
    """What would find a picture that is not where its row says, as an option."""
    folders = [file.parent, root, *sorted(child for child in root.iterdir() if child.is_dir())]
    for folder in folders:
        for ending in ("", *sorted(EXTENSIONS)):
            if (folder / f"{file.name}{ending}").is_file():
                options = [] if folder == file.parent else [f"--pictures {folder}"]
                return f"; try {' '.join([*options, *([f'--ending {ending}'] if ending else [])])}"
    return ""

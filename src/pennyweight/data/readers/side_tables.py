"""Find tables next to pictures, their columns, and the files that their rows name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_stored
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.reasons import few
from pennyweight.data.readers.columns import COLUMNS
from pennyweight.data.readers.layout import find_split
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.rows import rows_of
from pennyweight.data.readers.suffixes import TABLES
from pennyweight.data.source import Split

__all__ = [
    "TRIED",
    "Columns",
    "Table",
    "columns_of",
    "file_of",
    "find_tables",
    "options_for",
    "reason_against",
    "text_of",
]

NAMES = ("manifest", "metadata", "labels", "train")
"""Names of a table next to pictures that is read as a manifest."""
MOST_NAMED = 4
"""Largest number of columns that a message names."""
TRIED = 50
"""First rows of a table, one of which must name an existing picture for the table to be a manifest."""


class Table(NamedTuple):
    """File with rows, and the split of all of them if its folder is a split."""

    path: Path
    split: Split | None = None


class Columns(NamedTuple):
    """Names of a table's columns."""

    path: str
    label: str | None
    split: str | None


def find_tables(folder: Path, *, lone: bool) -> list[Table]:
    """List the tables of a folder with the name of a manifest, else those of its split folders.

    With `lone`, the only table of the folder is listed under any name.
    """
    here = _tables_in(folder)
    named = [Table(file) for file in here if file.stem.lower() in NAMES]
    if named or (lone and len(here) == 1):
        return named or [Table(here[0])]
    inner = []
    for child in sorted(child for child in folder.iterdir() if child.is_dir()):
        split = find_split(child.name)
        files = [file for file in _tables_in(child) if file.stem.lower() in NAMES]
        inner += [Table(file, split) for file in files if split is not None]
    return inner if any(table.split == "train" for table in inner) else []


def reason_against(table: Table, root: Path, read_as: ReadAs) -> str | None:
    """Return the reason for which a table is not a manifest; None if its first rows name an existing picture.

    Raises SourceError with the options to give if its pictures lie elsewhere.
    """
    path = table.path
    try:
        rows = list(islice(rows_of(path), TRIED))
    except SourceError as error:
        return str(error)
    if not rows:
        return f"{path} has no rows"
    if (columns := _columns(rows[0], path, read_as)) is None:
        return f"{path} has no columns of paths and labels ({few(list(map(str, rows[0])))})"
    files = [file_of(path.parent, text, read_as) for row in rows if (text := text_of(row, columns.path))]
    if any(file.is_file() for file in files):
        return None
    if hint := options_for(files, root):
        raise SourceError(f"the pictures that {path} lists are not next to it, such as {files[0].name}; try {hint}")
    return f"none of the pictures that {path} lists exists, such as {files[0].name if files else 'its first'}"


def columns_of(row: Mapping[str, Any], path: Path, read_as: ReadAs) -> Columns:
    """Return the columns of paths, labels and splits. Raises SourceError for a table without paths or labels."""
    if (found := _columns(row, path, read_as)) is not None:
        return found
    there = [str(name) for name in row]
    if (advice := _one_hot(row, path, read_as)) is not None:
        raise SourceError(advice)
    unheaded = any(Path(name).suffix.lower() in EXTENSIONS for name in there)
    raise SourceError(
        f"{path} has the columns {few(there)}{'; its first line is no heading' * unheaded}; a manifest needs one "
        f"of {', '.join(COLUMNS['path'])}, and one of {', '.join(COLUMNS['label'])}; name other columns with --columns "
        "path=NAME,label=NAME"
    )


def text_of(row: Mapping[str, Any], column: str) -> str:
    """Return a cell as text without spaces around it."""
    value = row.get(column)
    return "" if value is None else str(value).strip()


def file_of(folder: Path, text: str, read_as: ReadAs) -> Path:
    """Return the file that a row names; a backslash separates folders unless a file with that very name exists."""
    start = folder / (read_as.pictures or "")
    text = text if text.lower().endswith(read_as.ending.lower()) else text + read_as.ending
    file = start / text
    return as_stored(start / text.replace("\\", "/") if "\\" in text and not os.path.lexists(file) else file)


def options_for(files: Sequence[Path], root: Path) -> str:
    """Return the options that would find all these pictures in one folder nearby, as text; else an empty string."""
    if not files:
        return ""
    for folder in (files[0].parent, root, *sorted(child for child in root.iterdir() if child.is_dir())):
        for ending in ("", *sorted(EXTENSIONS)):
            if all((folder / f"{file.name}{ending}").is_file() for file in files):
                options = [] if folder == files[0].parent else [f"--pictures {folder}"]
                return " ".join([*options, *([f"--ending {ending}"] if ending else [])])
    return ""


def _columns(row: Mapping[str, Any], path: Path, read_as: ReadAs) -> Columns | None:
    files, labels, splits = (read_as.column(row, meaning, path) for meaning in ("path", "label", "split"))
    labels = None if read_as.label_from is not None and "label" not in read_as.columns else labels
    if files is None or (labels is None and read_as.label_from is None) or files == labels:
        return None
    return Columns(files, labels, splits)


def _one_hot(row: Mapping[str, Any], path: Path, read_as: ReadAs) -> str | None:
    """Return advice for a one-hot table, with a column of zeros and ones for each class; None for other tables."""
    files = read_as.column(row, "path", path)
    cells = {str(name): text_of(row, name) for name in row if name != files}
    marks = [name for name, text in cells.items() if text in ("0", "1", "0.0", "1.0")]
    if files is None or len(marks) < 2 or sum(float(cells[name]) for name in marks) != 1:
        return None
    classes = ", ".join(marks[:MOST_NAMED]) + f" and {len(marks) - MOST_NAMED} more" * (len(marks) > MOST_NAMED)
    return (
        f"{path} has one-hot labels, a column of 0 and 1 for each class ({classes}); a manifest needs one column with "
        "the name of the class: with pandas, table['label'] = table[classes].idxmax(axis=1), where classes lists "
        "these columns"
    )


def _tables_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    return [file for file in files if file.suffix.lower() in TABLES and file.is_file()]

"""Tables in memory: a DataFrame of pandas or polars, a table of pyarrow, a mapping of columns, or a list of records."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.files import expanded
from pennyweight.data.given.pictures import MISSING, as_picture
from pennyweight.data.given.rows import Given, Row, labels_of
from pennyweight.data.readers.columns import COLUMNS, parse_group, parse_split
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.side_tables import file_of

__all__ = ["Table", "is_table", "of_table", "pictures_in_table", "plain_cell"]


MOST_NAMED = 12
"""Columns that a message names."""
MAPPING = "the mapping of columns"
BY_CLASS = "; of class -> pictures make [(path, name) for name, paths in source.items() for path in paths]"
ARRAYS = "; arrays are passed as (images, labels), or as {'train': (images, labels), 'test': (images, labels)}"
"""Advice for a mapping without a column of pictures."""
BITS = ("0", "1", "0.0", "1.0", "False", "True")


class Table(NamedTuple):
    """Columns by name, all of one length, and the words that name the table in messages."""

    columns: Mapping[str, Sequence[Any]]
    where: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def is_table(source: object) -> bool:
    """Return whether a source has columns with names."""
    if isinstance(source, Mapping):
        return bool(source) and not any(hasattr(value, "columns") for value in source.values())
    if isinstance(source, (list, tuple)):
        return bool(source) and all(isinstance(each, Mapping) for each in source)
    frame = hasattr(source, "columns") and hasattr(source, "__getitem__") and hasattr(source, "shape")
    return frame or (hasattr(source, "column_names") and hasattr(source, "to_pydict"))


def table_of(source: Any) -> Table:
    """Return the columns of a table. Raises SourceError for columns of one name or of unequal lengths."""
    if isinstance(source, (list, tuple)):
        names = dict.fromkeys(str(name) for each in source for name in each)
        return Table({name: [each.get(name) for each in source] for name in names}, "the list of records")
    where = MAPPING if isinstance(source, Mapping) else f"the {type(source).__name__}"
    columns = source.to_pydict() if hasattr(source, "column_names") else source
    named = list(columns if isinstance(columns, Mapping) else columns.columns)
    if twice := [name for place, name in enumerate(named) if name in named[:place]]:
        raise SourceError(f"{where} has two columns '{twice[0]}'; rename one of them")
    try:
        found = {str(name): list(columns[name]) for name in named}
    except TypeError as error:
        raise SourceError(f"{where} has a column without rows: {error}; give a list for each column{ARRAYS}") from error
    if len({len(values) for values in found.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in found.items())
        raise SourceError(f"{where} has columns of unequal lengths: {lengths}")
    return Table(found, where)


def of_table(source: Any, read_as: ReadAs, group_by: str | None) -> Given:
    """Return the rows of a table. Raises SourceError without a column of pictures or of labels."""
    table = table_of(source)
    picture = _picture_column(table, read_as)
    label = read_as.column(table.columns, "label", table.where)
    split, pictures = read_as.column(table.columns, "split", table.where), table.columns[picture]
    if label is not None:
        labels = labels_of(table.columns[label], len(table), f"the column '{label}' of {table.where}")
    elif read_as.label_from is not None:
        found = [read_as.label_of(os.fspath(each)) if _is_path(each) else None for each in pictures]
        labels = labels_of(found, len(table), f"the labels in the names of {table.where}")
    else:
        needed = f"labels need one of {', '.join(COLUMNS['label'])}{_named('label')}"
        raise SourceError(_one_hot(table) or f"{_has(table)}; {needed}")
    groups = table.columns.get(group_by) if group_by is not None else None
    rows = []
    for number, (value, text) in enumerate(zip(pictures, labels, strict=True)):
        where = f"row {number} of {table.where}"
        rows.append(
            Row(
                as_picture(_located(value, read_as), where, Path.cwd()),
                text,
                os.fspath(value) if _is_path(value) else f"{number:05d}",
                None if split is None else parse_split(plain_cell(table.columns[split][number]), where),
                None if groups is None else parse_group(plain_cell(groups[number])),
            )
        )
    notes = (*_choices(table, picture, ("picture", "path")), *_choices(table, label, ("label",)))
    return Given(name="table", rows=rows, notes=notes, read_as=read_as, label_column=label)


def pictures_in_table(source: Any, read_as: ReadAs) -> list[Any]:
    """Return the cells with pictures; labels are not needed. Raises SourceError without a column of pictures."""
    table = table_of(source)
    return [_located(value, read_as) for value in table.columns[_picture_column(table, read_as)]]


def _picture_column(table: Table, read_as: ReadAs) -> str:
    if "picture" in read_as.columns and "path" in read_as.columns:
        raise InputError("columns name a picture and a path; a picture is read from one column")
    meanings = ("path", "picture") if "path" in read_as.columns else ("picture", "path")
    found = next(filter(None, (read_as.column(table.columns, meaning, table.where) for meaning in meanings)), None)
    if found is None:
        known = dict.fromkeys((*COLUMNS["picture"], *COLUMNS["path"]))
        whole = any(getattr(cells[0], "ndim", 0) > 1 for cells in table.columns.values() if len(cells))
        mapped = (ARRAYS if whole else BY_CLASS) if table.where == MAPPING else ""
        raise SourceError(f"{_has(table)}; pictures need one of {', '.join(known)}{_named('path')}{mapped}")
    return found


def _has(table: Table) -> str:
    more = f" and {len(table.columns) - MOST_NAMED} more" * (len(table.columns) > MOST_NAMED)
    return f"{table.where} has the columns {', '.join(list(table.columns)[:MOST_NAMED]) or 'none'}{more}"


def _one_hot(table: Table) -> str | None:
    """Return advice for a table with a column of 0 and 1 for each class; None for another table."""
    marks = [name for name, cells in table.columns.items() if len(cells) and all(str(each) in BITS for each in cells)]
    if len(marks) < 2 or any(sum(bool(table.columns[name][row]) for name in marks) != 1 for row in range(len(table))):
        return None
    return (
        f"{table.where} has one-hot labels, a column of 0 and 1 for each class ({', '.join(marks[:MOST_NAMED])}); make "
        f"one of them: table['label'] = table[{marks[:MOST_NAMED]}].idxmax(axis=1)"
    )


def _named(meaning: str) -> str:
    return f"; another is named by read_as={{'columns': {{'{meaning}': NAME}}}}"


def _choices(table: Table, taken: str | None, meanings: Sequence[str]) -> tuple[str, ...]:
    """Return a note where other columns have usual names for the same, too."""
    usual = {name for meaning in meanings for name in COLUMNS[meaning]} - {"id", "image_id", "set"}
    others = [name for name in table.columns if name != taken and name.strip().lower() in usual]
    if taken is None or not others:
        return ()
    return (f"{meanings[-1]}s are those of the column '{taken}', not of {' or '.join(others)}{_named(meanings[-1])}",)


def _located(value: Any, read_as: ReadAs) -> Any:
    """Return a path with the folder and the ending of `read_as`; anything else unchanged."""
    is_file = _is_path(value) and "://" not in os.fspath(value)
    return file_of(Path.cwd(), str(expanded(value)), read_as) if is_file else value


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike)) and bool(os.fspath(value))


def plain_cell(value: Any) -> Any:
    """Return a cell, None for one that is missing."""
    return None if value is None or str(value) in MISSING else value

"""Predictions as files that other programs read: lines of JSON, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pennyweight.core.errors import RunError
from pennyweight.core.files import read_lines
from pennyweight.core.prediction import Failure, Prediction, row_of
from pennyweight.core.reading import reason_of
from pennyweight.core.text import as_utf8

Answers = Sequence[tuple[Prediction | Failure, str]]
Pictures = list[tuple[str, str | None]]
Write = Callable[[Path, Answers], None]
Read = Callable[[Path], Pictures]

__all__ = ["Format", "pictures_in", "write_answers"]

Format = Literal["jsonl", "parquet"]


def write_answers(path: Path, answers: Sequence[Prediction | Failure], stamps: Sequence[str], form: Format) -> None:
    """Write a file of predictions, a row for each picture, with the stamp of the picture's file."""
    FORMATS[form][0](path, list(zip(answers, stamps, strict=True)))


def pictures_in(path: Path, form: Format) -> Pictures:
    """Return source and stamp of the pictures in a file of predictions; a file of an earlier version has no stamps.

    Raises RunError for a damaged file.
    """
    try:
        return FORMATS[form][1](path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise RunError(f"cannot read {path}: {reason_of(error)}; remove it to have it written again") from error


def _write_lines(path: Path, answers: Answers) -> None:
    with path.open("w", encoding="ascii") as file:
        for answer, stamp in answers:
            row = {**answer.to_dict(), "source": as_utf8(answer.source), "stamp": stamp}
            file.write(f"{json.dumps(row, allow_nan=False)}\n")


def _pictures_in_lines(path: Path) -> Pictures:
    return [(row["source"], row.get("stamp")) for row in read_lines(path)]


def _write_parquet(path: Path, answers: Answers) -> None:
    import pyarrow
    from pyarrow import parquet

    text, real = pyarrow.string(), pyarrow.float32()
    kinds = {
        "source": text,
        "label": text,
        "probability": real,
        "labels": pyarrow.list_(text),
        "probabilities": pyarrow.list_(real),
        "error": text,
        "stamp": text,
    }
    rows = [{**row_of(answer), "stamp": stamp} for answer, stamp in answers]
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)


def _pictures_in_parquet(path: Path) -> Pictures:
    from pyarrow import parquet

    table = parquet.read_table(path)
    stamps = table["stamp"].to_pylist() if "stamp" in table.column_names else [None] * len(table)
    return list(zip(table["source"].to_pylist(), stamps, strict=True))


FORMATS: Mapping[Format, tuple[Write, Read]] = {
    "jsonl": (_write_lines, _pictures_in_lines),
    "parquet": (_write_parquet, _pictures_in_parquet),
}
"""Functions that write a format, and that read its pictures back."""

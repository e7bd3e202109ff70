"""Predictions as files that other programs read: lines of JSON, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pennyweight.core.errors import RunError
from pennyweight.core.files import read_lines
from pennyweight.core.prediction import Failure, Prediction, row_of
from pennyweight.core.reading import reason_of
from pennyweight.core.text import as_utf8

__all__ = ["Format", "Row", "answers_in", "pictures_in", "write_answers"]

T = TypeVar("T")
Format = Literal["jsonl", "parquet"]


class Row(NamedTuple):
    """Row of a file of predictions, without the prediction."""

    source: str
    stamp: str | None
    """Stamp of the picture's file; None in a file of an earlier version."""
    error: str | None


Answers = Sequence[tuple[Prediction | Failure, str]]
Write = Callable[[Path, Answers], None]
Read = Callable[[Path], list[Row]]
ReadAnswers = Callable[[Path], list[tuple[Prediction | Failure, str]]]


def write_answers(path: Path, answers: Sequence[Prediction | Failure], stamps: Sequence[str], form: Format) -> None:
    """Write a file of predictions, a row for each picture, with the stamp of the picture's file."""
    FORMATS[form][0](path, list(zip(answers, stamps, strict=True)))


def pictures_in(path: Path, form: Format) -> list[Row]:
    """Return the rows of a file of predictions. Raises RunError for a damaged file."""
    return _read(path, FORMATS[form][1])


def answers_in(path: Path, form: Format) -> list[tuple[Prediction | Failure, str]]:
    """Return the answers in a file of predictions, each with its stamp. Raises RunError for a damaged file."""
    return _read(path, FORMATS[form][2])


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise RunError(f"cannot read {path}: {reason_of(error)}; remove it to have it written again") from error


def _write_lines(path: Path, answers: Answers) -> None:
    with path.open("w", encoding="ascii") as file:
        for answer, stamp in answers:
            row = {**answer.to_dict(), "source": as_utf8(answer.source), "stamp": stamp}
            file.write(f"{json.dumps(row, allow_nan=False)}\n")


def _pictures_in_lines(path: Path) -> list[Row]:
    return [Row(row["source"], *map(row.get, Row._fields[1:])) for row in read_lines(path)]


def _answers_in_lines(path: Path) -> list[tuple[Prediction | Failure, str]]:
    return [(_answer_of(row, map(tuple, row.get("top", ()))), row["stamp"]) for row in read_lines(path)]


def _answer_of(row: Mapping[str, Any], top: Iterable[tuple[str, float]]) -> Prediction | Failure:
    source, typical = row["source"], row.get("typical")
    if row.get("error") is not None:
        return Failure(source=source, error=row["error"], typical=typical)
    return Prediction(
        source=source, label=row["label"], probability=row["probability"], top=tuple(top), typical=typical
    )


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
        "typical": pyarrow.float64(),
        "error": text,
        "stamp": text,
    }
    rows = [{**row_of(answer), "stamp": stamp} for answer, stamp in answers]
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)


def _pictures_in_parquet(path: Path) -> list[Row]:
    from pyarrow import parquet

    named = parquet.read_schema(path).names
    table = parquet.read_table(path, columns=[name for name in Row._fields if name in named])
    columns = [table[name].to_pylist() if name in named else [None] * len(table) for name in Row._fields]
    return list(starmap(Row, zip(*columns, strict=True)))


def _answers_in_parquet(path: Path) -> list[tuple[Prediction | Failure, str]]:
    from pyarrow import parquet

    return [
        (_answer_of(row, zip(row["labels"] or (), row["probabilities"] or (), strict=True)), row["stamp"])
        for row in parquet.read_table(path).to_pylist()
    ]


FORMATS: Mapping[Format, tuple[Write, Read, ReadAnswers]] = {
    "jsonl": (_write_lines, _pictures_in_lines, _answers_in_lines),
    "parquet": (_write_parquet, _pictures_in_parquet, _answers_in_parquet),
}
"""Functions that write a format, that read its rows, and that read its answers."""

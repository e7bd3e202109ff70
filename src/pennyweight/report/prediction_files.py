"""Predictions as files that other programs read: lines of JSON, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pennyweight.core.errors import RunError
from pennyweight.core.files import read_lines
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.reading import reason_of

Write = Callable[[Path, Sequence[Prediction | Failure]], None]
Read = Callable[[Path], list[str]]

__all__ = ["Format", "as_utf8", "sources_of", "write_answers"]

Format = Literal["jsonl", "parquet"]


def as_utf8(text: str) -> str:
    """Return text with an escape for each byte of a file name that is not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def write_answers(path: Path, answers: Sequence[Prediction | Failure], form: Format) -> None:
    """Write a file of predictions, a row for each picture."""
    FORMATS[form][0](path, answers)


def sources_of(path: Path, form: Format) -> list[str]:
    """Return the pictures of a file of predictions. Raises RunError for a damaged one."""
    try:
        return FORMATS[form][1](path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise RunError(f"cannot read {path}: {reason_of(error)}; remove it to have it written again") from error


def _write_lines(path: Path, answers: Sequence[Prediction | Failure]) -> None:
    with path.open("w", encoding="ascii") as file:
        for answer in answers:
            row = {**answer.to_dict(), "source": as_utf8(answer.source)}
            file.write(f"{json.dumps(row, allow_nan=False)}\n")


def _sources_of_lines(path: Path) -> list[str]:
    return [row["source"] for row in read_lines(path)]


def _write_parquet(path: Path, answers: Sequence[Prediction | Failure]) -> None:
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
    }
    parquet.write_table(pyarrow.Table.from_pylist([_row(each) for each in answers], pyarrow.schema(kinds)), path)


def _row(answer: Prediction | Failure) -> dict[str, Any]:
    source = as_utf8(answer.source)
    if isinstance(answer, Failure):
        return {"source": source, "error": as_utf8(answer.error)}
    labels, probabilities = zip(*answer.top, strict=True)
    return {
        "source": source,
        "label": as_utf8(answer.label),
        "probability": answer.probability,
        "labels": [as_utf8(label) for label in labels],
        "probabilities": probabilities,
    }


def _sources_of_parquet(path: Path) -> list[str]:
    from pyarrow import parquet

    found: list[str] = parquet.read_table(path, columns=["source"])["source"].to_pylist()
    return found


FORMATS: Mapping[Format, tuple[Write, Read]] = {
    "jsonl": (_write_lines, _sources_of_lines),
    "parquet": (_write_parquet, _sources_of_parquet),
}
"""Functions that write a format, and that read its pictures back."""

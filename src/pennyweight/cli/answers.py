"""Outputs of `predict`, written as answers arrive: a table, lines of JSON, one JSON object, comma-separated values."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from pennyweight.core.figures import MISSING, fine_share, share
from pennyweight.core.files import atomic
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.reasons import UNANSWERED
from pennyweight.core.text import FORMULA, no_formula, printable, write_as_file

__all__ = ["Sink", "as_csv", "as_json", "as_json_lines", "as_table"]

PAGE, FEW = 20, 10
"""Rows that are laid out together, whose widths later rows keep, and rows of pictures without an answer."""
Row = tuple[str, str | None, float | None, str]
"""Picture, best label, its probability, and the next labels or the reason of a failure."""
TITLES = ("picture", "label", "probability", "then")


class Sink(Protocol):
    """Function that takes one answer after another."""

    def __call__(self, answer: Prediction | Failure) -> None: ...


@contextmanager
def as_table(is_strange: Callable[[Prediction | Failure], bool] = lambda answer: False) -> Iterator[Sink]:
    """Print a line for each picture: its best label, then the next ones; or, for the first few, why it has none.

    A picture that `is_strange` is marked.
    """
    from rich.cells import cell_len

    from pennyweight.report.tables import Column, print_table

    columns = [Column(title, share) if title == "probability" else Column(title) for title in TITLES]
    page: list[Row] = []
    widths: list[int] = []

    def shown(row: Row) -> list[str]:
        texts = row[0], row[1] or MISSING, share(row[2]), row[3]
        return [printable(text, sys.stdout.encoding) for text in texts]

    def lay_out() -> None:
        if page:
            print_table(columns, page)
            widths[:] = [
                max(cell_len(text) for text in (title, *texts))
                for title, texts in zip(TITLES, zip(*map(shown, page), strict=True), strict=True)
            ]
            page.clear()

    failed = 0

    def write(answer: Prediction | Failure) -> None:
        nonlocal failed
        failed += isinstance(answer, Failure)
        if isinstance(answer, Failure) and failed > FEW:
            return
        row = _cells(answer, strange=is_strange(answer))
        if not widths:
            page.append(row)
            if len(page) == PAGE:
                lay_out()
            return
        source, label, probability, others = shown(row)
        padded = [text + " " * (width - cell_len(text)) for text, width in zip((source, label), widths, strict=False)]
        print("  ".join((*padded, probability.rjust(widths[2]), others)).rstrip())

    yield write
    if any(row[1] is not None for row in page):
        lay_out()  # failures alone make no table: each is a line on standard error


@contextmanager
def as_json_lines() -> Iterator[Sink]:
    """Print an object a line, each when its picture is answered: that of a prediction, or `source` and `error`."""

    def write(answer: Prediction | Failure) -> None:
        print(_json(answer), flush=True)

    yield write


@contextmanager
def as_json() -> Iterator[Sink]:
    """Print one object with the lists `predictions` and `failures` at the end; keep them on disk until then."""
    with _spool() as predictions, _spool() as failures:

        def write(answer: Prediction | Failure) -> None:
            spool = failures if isinstance(answer, Failure) else predictions
            spool.write(f"{', ' if spool.tell() else ''}{_json(answer)}")

        yield write
        for text, spool in (('{"predictions": [', predictions), ('], "failures": [', failures)):
            sys.stdout.write(text)
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout)
        print("]}")


@contextmanager
def as_csv(path: str, top: int) -> Iterator[Sink]:
    """Write a row for each picture to the file `path`, which is there at the end and whole, or to "-" as they come.

    The columns are source, label, probability, label_2, probability_2, … up to `top`, typical and error.
    """
    if path == "-":
        write_as_file()
        yield _csv(sys.stdout, top)
        sys.stdout.flush()
        return
    with (
        atomic(Path(path)) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield _csv(file, top)


def _csv(file: IO[str], top: int) -> Sink:
    rows = csv.writer(file, lineterminator="\n")
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("label", "probability")]
    rows.writerow(["source", "label", "probability", *more, "typical", "error"])
    terminal = file.isatty()

    def write(answer: Prediction | Failure) -> None:
        if isinstance(answer, Failure):
            ranked: list[str | float | None] = [""] * (2 * top)
            error = answer.error
        else:
            ranked = [value for label, probability in answer.top for value in (no_formula(label), probability)]
            error = ""
        source = f"./{answer.source}" if answer.source.startswith(FORMULA) else answer.source
        row = [source, *ranked, answer.typical, no_formula(error)]
        rows.writerow(
            [printable(cell, sys.stdout.encoding) if terminal and isinstance(cell, str) else cell for cell in row]
        )

    return write


def _reason(answer: Failure) -> str:
    """Return the reason without the name, which has a column of its own."""
    text = answer.error.removeprefix(f"cannot read {answer.source}: ")
    return text.removeprefix(f"{UNANSWERED}{answer.source}: ")


def _cells(answer: Prediction | Failure, *, strange: bool) -> Row:
    if isinstance(answer, Failure):
        return answer.source, None, None, _reason(answer)
    others = ", ".join(f"{label} {share(value)}" for label, value in answer.top[1:])
    mark = f"unlike training ({fine_share(answer.typical)} typical)" if strange else ""
    return answer.source, answer.label, answer.probability, "; ".join(filter(None, [mark, others]))


def _json(answer: Prediction | Failure) -> str:
    return json.dumps(answer.to_dict(), allow_nan=False)  # in ASCII, which every encoding of a pipe can take


def _spool() -> tempfile.SpooledTemporaryFile[str]:
    return tempfile.SpooledTemporaryFile(1 << 20, "w+", encoding="ascii")

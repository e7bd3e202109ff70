"""Corrections of labels: a table, of `review` or written by hand, that is applied to a source when it is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pennyweight.core.errors import SourceError, nearest
from pennyweight.core.figures import several
from pennyweight.core.text import as_written, composed
from pennyweight.data.readers.rows import numbered_rows
from pennyweight.data.readers.suffixes import TABLES
from pennyweight.data.source import Sample, Source

__all__ = ["COLUMNS", "Correction", "apply_corrections", "carry_over", "read_corrections"]

COLUMNS = ("picture", "correct_label", "leave_out", "digest")
"""Columns of the table. `digest` may be missing, and any other column is ignored."""
YES = ("yes", "y", "x", "true", "1", "1.0")
"""Cells of `leave_out` that leave the picture out, in small letters."""
NO = ("", "no", "n", "-", "false", "0", "0.0")
"""Cells of `leave_out` that keep the picture."""


@dataclass(frozen=True)
class Correction:
    """Row of the table: a picture that was looked at, with what is to change."""

    where: str
    """Line and file, for errors."""
    picture: str
    """Name of the picture in its source."""
    digest: str
    """SHA-256 of its content, as `Sample` has it; empty if the table has none."""
    label: str
    """Class that the picture gets; empty if its label stays."""
    leave_out: bool


def read_corrections(path: Path) -> list[Correction]:
    """Read the rows of a table in which something is filled in.

    Args:
        path: Table (.csv, .tsv, .jsonl, .parquet) with the columns picture, correct_label, leave_out and digest.

    Returns:
        A correction for each row with a correct label or a mark in leave_out. A correct label that is the picture's own
        confirms it.

    Raises:
        SourceError: The table cannot be read, lacks a column, or a row has an unknown mark, or both a label and a mark.
    """
    if not path.is_file():
        raise SourceError(f"no corrections at {path}; give the table that the page of `pennyweight review` saved")
    if not path.name.lower().endswith(TABLES):
        raise SourceError(f"corrections are a table ({', '.join(TABLES)}), not {path.name}")
    found = []
    for place, (number, row) in enumerate(numbered_rows(path)):
        cells = {str(name).strip().lower(): _text(value) for name, value in row.items()}
        if not place and (missing := [name for name in COLUMNS[:3] if name not in cells]):
            raise SourceError(
                f"{path} has the columns {', '.join(map(str, row))}, and corrections need {', '.join(COLUMNS[:3])}: "
                f"{missing[0]} is missing"
            )
        if (mark := cells.get("leave_out", "").lower()) not in YES + NO:
            raise SourceError(
                f"line {number} of {path} has '{mark}' in leave_out, which takes {', '.join(YES)} or nothing; "
                "write yes, or empty the cell"
            )
        one = Correction(
            f"line {number} of {path}", cells.get("picture", ""), cells.get("digest", ""),
            composed(cells.get("correct_label", "")), mark in YES,
        )  # fmt: skip
        if one.label and one.leave_out:
            raise SourceError(f"{one.where} gives {one.picture} the label '{one.label}' and leaves it out; keep one")
        if one.label or one.leave_out:
            found.append(one)
    return found


def apply_corrections(source: Source, path: Path) -> Source:
    """Return the source with the labels of a table, and without the pictures that the table leaves out.

    A row means the picture with its name and its content; where there is none, every picture with its content, and
    without a digest the picture with its name. A row that means no picture is counted in a note.

    Args:
        source: The source as its files have it.
        path: The table, as `read_corrections` reads it.

    Raises:
        SourceError: The table cannot be read, has an unknown class or two different rows for a picture, means no
            picture of the source, or leaves a class without pictures; or the source is streamed.
    """
    if source.streamed:
        raise SourceError(
            f"corrections name single pictures, and {source.name} is streamed shards; correct the source that they "
            "were packed from"
        )
    rows = read_corrections(path)
    numbers = {label: number for number, label in enumerate(source.labels)}
    of_sample, lost = _assign(source.samples, rows)
    if rows and not of_sample:
        raise SourceError(f"{path} corrects no picture of {source.name}; its first row is {rows[0].picture}")
    samples = []
    for place, sample in enumerate(source.samples):
        row = of_sample.get(place)
        if row is not None and row.label and row.label not in numbers:
            close = _same_number(row.label, numbers) or nearest(
                row.label, numbers, otherwise=f"; there are {', '.join(list(numbers)[:10])}"
            )
            raise SourceError(f"{row.where} has the label '{row.label}', which is no class of {source.name}{close}")
        if row is None:
            samples.append(sample)
        elif not row.leave_out:
            samples.append(replace(sample, label=numbers[row.label]))
    if gone := sorted({each.label for each in source.samples} - {each.label for each in samples}):
        raise SourceError(f"{path} leaves no picture in the class {source.labels[gone[0]]}; keep one, or remove it")
    return replace(
        source,
        samples=tuple(samples),
        notes=(*source.notes, *_notes(source, samples, of_sample, lost, path)),
        read_as={**source.read_as, "corrections": str(path)},
    )


def _assign(samples: Sequence[Sample], rows: Sequence[Correction]) -> tuple[dict[int, Correction], int]:
    """Return the row of each sample that one means, and the number of rows that mean none. Raises SourceError."""
    by_name: dict[str, list[int]] = defaultdict(list)
    by_digest: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(samples):
        by_name[composed(sample.name)].append(number)
        by_digest[sample.digest].append(number)
    found: dict[int, Correction] = {}
    lost = 0
    for row in rows:
        named, alike = by_name.get(composed(row.picture), []), by_digest.get(row.digest, [])
        meant = named if not row.digest else [each for each in alike if each in named] or alike
        lost += not meant
        for number in meant:
            other = found.setdefault(number, row)
            if (other.label, other.leave_out) != (row.label, row.leave_out):
                raise SourceError(f"{other.where} and {row.where} say different things of {samples[number].name}")
    return found, lost


def carry_over(samples: Sequence[Sample], path: Path) -> list[Correction]:
    """Return the corrections of a table for a next table: a row for each picture here, then the other rows.

    A picture is here with its name and its content, so that another picture of the same name has no correction.

    Args:
        samples: Pictures of the source that the table was applied to.
        path: The table, as `read_corrections` reads it.

    Raises:
        SourceError: The table cannot be read.
    """
    rows = read_corrections(path)
    # A picture that a row leaves out is not among the samples, and one of equal content may be.
    of_sample, _ = _assign(samples, [row for row in rows if not row.leave_out])
    here = [
        replace(row, picture=samples[number].name, digest=samples[number].digest)
        for number, row in sorted(of_sample.items())
    ]
    used = {row.where for row in of_sample.values()}
    return here + [row for row in rows if row.where not in used]


def _notes(
    source: Source, samples: Sequence[Sample], of_sample: Mapping[int, Correction], lost: int, path: Path
) -> list[str]:
    """Return lines on what the table changed."""
    left_out = len(source.samples) - len(samples)
    changed = sum(
        not row.leave_out and row.label != source.labels[source.samples[number].label]
        for number, row in of_sample.items()
    )
    confirmed = len(of_sample) - left_out - changed
    line = (
        f"{path.name}: {several(changed, 'label')} changed, {several(left_out, 'picture')} left out, "
        f"{several(confirmed, 'label')} confirmed"
    )
    others = [] if not lost else [f"{several(lost, 'row')} of {path.name} mean{'s' * (lost == 1)} no picture here"]
    return [line, *others]


def _same_number(received: str, labels: Iterable[str]) -> str:
    """Return the end of an error message for the class of the same number, such as 007 for 7; empty without one."""
    whole = received.removesuffix(".0")
    same = [label for label in labels if label.isdecimal() and whole.isdecimal() and int(label) == int(whole)]
    return f"; did you mean '{same[0]}'? A spreadsheet drops the zeros of a number" if same else ""


def _text(value: Any) -> str:
    """Return a cell as text without spaces around it; NaN is empty."""
    return "" if value is None or value != value else as_written(str(value).strip())

"""Rows of a given source, and the Source that is made of them, with the classes in the order of their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from pennyweight.core.errors import SourceError
from pennyweight.core.text import composed
from pennyweight.data.given.pictures import Kept
from pennyweight.data.readers.columns import doubtful_classes_notes, parse_label, whole_number
from pennyweight.data.readers.contents import Listed, lost_classes, read_samples
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.source import Source, Split

__all__ = ["ADDRESS", "Given", "Row", "class_names", "classes_notes", "labels_of", "make_source", "name_for"]

ADDRESS = "python:"
"""Start of the address of pictures that a program passed, which no name opens again."""
PASSED = "these pictures were passed by a program, and no name opens them again: resume and evaluate need them again"


class Row(NamedTuple):
    """Picture with its class and its name in messages."""

    picture: Kept
    label: str
    name: str
    split: Split | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Given:
    """Rows of what a program passed, with the name that its kind suggests."""

    name: str
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    read_as: ReadAs = field(default_factory=ReadAs)
    label_column: str | None = None
    """Column with the labels, of a table."""
    numbered: tuple[str, ...] | None = None
    """Classes of what a data set wraps, where its labels are numbers without names of their own."""

    def of_split(self, split: Split) -> Given:
        """Return the rows as those of a split."""
        rows = [row._replace(split=split, name=f"{split}/{row.name}") for row in self.rows]
        return replace(self, rows=rows)


def labels_of(values: Any, count: int, where: str, names: Sequence[str] | None = None) -> list[str]:
    """Return the class of each of `count` pictures as text.

    Args:
        values: Sequence of texts or whole numbers, or an array of them, (N,) or (N, 1).
        count: Number of pictures.
        where: Place for messages, such as "the labels".
        names: Names of the classes that numbers stand for.

    Raises:
        SourceError: There are more or fewer labels, one-hot rows, fractions, or a missing label.
    """
    shape = tuple(getattr(values, "shape", ()))
    if len(shape) == 2 and shape[1] > 1:
        raise SourceError(f"{where} have the shape {shape}, and a picture has one class: labels.argmax(1)")
    listed = list(np.asarray(values).reshape(-1) if len(shape) == 2 else values)
    if len(listed) != count:
        raise SourceError(f"there are {count:,} pictures and {len(listed):,} labels; each picture needs one")
    texts = [_label(value, f"number {number} of {where}") for number, value in enumerate(listed)]
    return class_names(texts, names, where)


def class_names(texts: Sequence[str], names: Sequence[str] | None, where: str) -> list[str]:
    """Return the names of classes that are whole numbers; with `names` their own. Raises SourceError outside these."""
    numbers = {text: whole_number(text) for text in set(texts)}
    if None in numbers.values():
        return list(texts)
    named: dict[str, str] = {}
    unique = _unique_names(names or ())
    for text, number in numbers.items():
        assert number is not None
        if names is not None and not 0 <= int(number) < len(names):
            raise SourceError(f"{where} hold {number}, and there are names for 0 to {len(names) - 1} only")
        named[text] = number if names is None else unique[int(number)]
    return [named[text] for text in texts]


def classes_notes(labels: Sequence[str], names: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Return notes where a data set names classes without pictures, or in another order than the source has them."""
    if names is None:
        return ()
    there = set(labels)
    named = _unique_names(names)
    used = [name for name in named if name in there]
    notes = []
    if absent := [name for name in named if name not in there]:
        count = f"{len(absent)} of the {len(named)} classes"
        notes.append(f"{where} has no pictures of {count} that it names, such as {absent[0]}")
    if used != sorted(used):
        notes.append(f"classes are in the order of their names, as of folders: {where} numbers them otherwise")
    return tuple(notes)


def _unique_names(names: Sequence[str]) -> list[str]:
    """Return the names of classes; one that occurs twice is followed by its number."""
    texts = [composed(str(name)) for name in names]
    counts = Counter(texts)
    return [text if counts[text] == 1 else f"{text} ({number})" for number, text in enumerate(texts)]


def _label(value: Any, where: str) -> str:
    """Return a label as text. Raises SourceError for a missing one, a fraction, or several."""
    single = getattr(value, "shape", ()) in ((), (1,))  # (1,) is the label of MedMNIST and of rows of (N, 1)
    value = value.item() if hasattr(value, "item") and single else value
    if getattr(value, "shape", ()) or isinstance(value, (list, tuple, dict)):
        shown = " ".join(repr(value).split())  # an array is printed in several lines
        raise SourceError(f"{where} is {shown:.60}; a picture has one class, a text or a whole number")
    if str(value) in ("<NA>", "NaT"):  # pandas' missing values, whose comparison raises
        value = None
    if isinstance(value, float) and value == value and not value.is_integer():
        raise SourceError(f"{where} is {value}; a label is a text or a whole number")
    return parse_label(value, where)


def make_source(given: Given) -> Source:
    """Return the source of these rows. Raises SourceError where none can be read, or some have a split and some none.

    Classes are in the order of their names, as those of folders are, so that equal pictures train alike.
    """
    if not given.rows:
        raise SourceError(f"{given.name} has no pictures; each needs a label")
    if len({row.split is None for row in given.rows}) > 1:
        raise SourceError(f"{given.name} gives some of its rows a split and others none; give it to all, or to none")
    trained = {row.label for row in given.rows if row.split in (None, "train")} or {row.label for row in given.rows}
    labels = tuple(sorted(trained))
    if others := sorted({row.label for row in given.rows} - trained):
        raise SourceError(f"the class {others[0]} of {given.name} has no training pictures; add some, or remove it")
    number = {label: place for place, label in enumerate(labels)}
    listed: list[Listed] = [
        (row.picture, number[row.label], row.split, name, row.group)
        for row, name in zip(given.rows, _unique([row.name for row in given.rows]), strict=True)
    ]
    found = read_samples(listed)
    if not found.samples:
        reason = found.unreadable[0].reason
        raise SourceError(f"{given.name} lists {len(listed):,} pictures and none can be read; {reason}")
    made = Source(
        name=given.name,
        address="",
        labels=labels,
        samples=found.samples,
        size=found.input.size,
        channels=found.input.channels,
        wide=found.input.wide,
        notes=(PASSED, *given.notes, *doubtful_classes_notes(labels), *found.input.notes),
        unreadable=found.unreadable,
        refusals=lost_classes(labels, listed, found, given.name),
        read_as=given.read_as.to_dict(),
    )
    return replace(made, address=ADDRESS + made.fingerprint.removeprefix("sha256:")[:32])


def _unique(names: Sequence[str]) -> Iterable[str]:
    """Yield the names; one that occurs again is numbered."""
    seen: Counter[str] = Counter()
    for name in names:
        yield f"{name} ({seen[name] + 1})" if seen[name] else name
        seen[name] += 1


def name_for(text: str) -> str:
    """Return a name for a run's folder: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "dataset"

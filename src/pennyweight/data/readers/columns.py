"""Names of columns, splits and classes in tables of pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pennyweight.core.errors import SourceError
from pennyweight.core.text import composed
from pennyweight.data.readers.layout import SPLIT_NAMES, find_split
from pennyweight.data.source import Split

__all__ = [
    *("COLUMNS", "find_column", "number_classes", "parse_group", "parse_label", "parse_split", "split_prefix"),
    *("doubtful_classes_notes", "whole_number", "whole_numbers_note"),
]

COLUMNS = {
    "picture": ("image", "img", "picture", "photo", "jpg", "png", "bytes"),
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_id", "id"),
    "label": ("label", "class", "category", "target", "labels", "fine_label", "species"),
    "split": ("split", "subset", "set", "partition"),
}
"""Meaning of a column -> its usual names; the first name that the table has is taken."""


def find_column(names: Iterable[str], meaning: str) -> str | None:
    """Return the column among `names` with that meaning, in any case, or None."""
    known = {name.strip().lower(): name for name in names}
    return next((known[name] for name in COLUMNS[meaning] if name in known), None)


def parse_split(value: object, where: str) -> Split | None:
    """Return the split that a cell names; None for an empty cell. Raises SourceError with the place, `where`."""
    text = str(value or "").strip()
    found = find_split(text)
    if text and found is None:
        raise SourceError(f"{where} is of the split '{value}'; splits are {', '.join(SPLIT_NAMES)}")
    return found


def split_prefix(name: str) -> Split | None:
    """Return the split that a file or folder name begins with, as `train-00000.parquet` does, or None."""
    return SPLIT_NAMES.get(re.split(r"[-_.]", name.lower())[0])


def parse_group(value: object) -> str | None:
    """Return the group of a row, whose pictures stay in one split; None for an empty cell."""
    return None if value is None else composed(str(value).strip()) or None


def parse_label(value: object, where: str) -> str:
    """Return the class of a row. Raises SourceError with the place, `where`, for an empty cell or a list."""
    if isinstance(value, (list, tuple, dict)):
        raise SourceError(f"{where} has the label {value!r}; a picture has one class, a text or a whole number")
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    label = "" if value is None or value != value else composed(str(value).strip())  # NaN alone differs from itself
    if not label:
        raise SourceError(f"{where} has no label; give each picture one")
    return label


def number_classes(
    found: Iterable[str], names: Sequence[str] | None, source: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Assign numbers to the classes of a source: return (class names in order, number of each value in `found`).

    Whole numbers, which may end in `.0`, are sorted by value; with `names` they are indices into `names`. Raises
    SourceError for an index outside `names`.
    """
    values = set(found)
    numbers = {value: whole_number(value) for value in values}
    if None in numbers.values():
        ordered = sorted(values)
        return tuple(ordered), {value: number for number, value in enumerate(ordered)}
    whole = sorted({number for number in numbers.values() if number is not None}, key=lambda text: (int(text), text))
    if names is None:
        return tuple(whole), {value: whole.index(number) for value, number in numbers.items() if number is not None}
    outside = [number for number in whole if not 0 <= int(number) < len(names)]
    if outside:
        raise SourceError(f"{source} has the label {outside[0]}, and names for 0 to {len(names) - 1} only")
    return tuple(map(composed, names)), {value: int(number or 0) for value, number in numbers.items()}


def whole_number(value: str) -> str | None:
    """Return the whole number that a class is, without `.0`; None for any other class."""
    found = re.fullmatch(r"(-?[0-9]{1,18})(?:\.0+)?", value)
    return found[1] if found else None


def doubtful_classes_notes(labels: Sequence[str]) -> tuple[str, ...]:
    """Return notes if one class may be written in two ways: as a number and a name, or in upper and lower case."""
    notes = []
    numbers = [label for label in labels if whole_number(label) is not None]
    names = [label for label in labels if whole_number(label) is None]
    if numbers and names:
        notes.append(
            f"classes are numbers ({len(numbers)}, such as {numbers[0]}) and names ({len(names)}, such as {names[0]}); "
            "if a number means a name, write one of the two"
        )
    cases: dict[str, str] = {}
    for label in labels:
        if (other := cases.setdefault(label.casefold(), label)) != label:
            notes.append(f"the classes {other} and {label} differ in upper and lower case alone, and count as two")
            break
    return tuple(notes)


def whole_numbers_note(labels: Iterable[str]) -> tuple[str, ...]:
    """Return a note if classes such as 1.0 are read as whole numbers."""
    first = next((label for label in sorted(labels) if "." in label and whole_number(label) is not None), None)
    return () if first is None else (f"classes such as {first} are whole numbers, read as {whole_number(first)}",)

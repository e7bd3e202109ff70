"""How tables of pictures call their columns, splits and classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pennyweight.core.errors import SourceError
from pennyweight.core.text import composed
from pennyweight.data.readers.layout import SPLIT_NAMES, split_named
from pennyweight.data.source import Split

__all__ = ["COLUMNS", "column", "group_name", "label_name", "label_names", "split_name", "split_of"]

COLUMNS = {
    "picture": ("image", "img", "picture", "photo", "jpg", "png", "bytes"),
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_id", "id"),
    "label": ("label", "class", "category", "target", "labels", "fine_label", "species"),
    "split": ("split", "subset", "set", "partition"),
}
"""What a column means -> its usual names, the first of them that is there is taken."""


def column(names: Iterable[str], meaning: str) -> str | None:
    """The column among `names` with that meaning, whatever its case."""
    known = {name.strip().lower(): name for name in names}
    return next((known[name] for name in COLUMNS[meaning] if name in known), None)


def split_name(value: object, where: str) -> Split | None:
    """A split by any of its names; None for an empty cell. Raises SourceError that says where."""
    text = str(value or "").strip()
    found = split_named(text)
    if text and found is None:
        raise SourceError(f"{where} is of the split '{value}'; splits are {', '.join(SPLIT_NAMES)}")
    return found


def split_of(name: str) -> Split | None:
    """The split that a file's or folder's name begins with: `train-00000.parquet`."""
    return SPLIT_NAMES.get(re.split(r"[-_.]", name.lower())[0])


def group_name(value: object) -> str | None:
    """What keeps a row with others; None for an empty cell, which keeps it with none."""
    return None if value is None else composed(str(value).strip()) or None


def label_name(value: object, where: str) -> str:
    """A row's class. Raises SourceError that says where there is none."""
    if isinstance(value, (list, tuple, dict)):
        raise SourceError(f"{where} has the label {value!r}; a picture has one class, a text or a whole number")
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    label = "" if value is None or value != value else composed(str(value).strip())  # NaN alone differs from itself
    if not label:
        raise SourceError(f"{where} has no label; give each picture one")
    return label


def label_names(
    found: Iterable[str], names: Sequence[str] | None, source: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """(the class names in order, the number of each value found).

    Whole numbers stand in the order of their size; with `names` they are indices into them. Raises SourceError.
    """
    values = set(found)
    whole = all(re.fullmatch("-?[0-9]{1,18}", value) for value in values)
    ordered = sorted(values, key=lambda value: (int(value), value)) if whole else sorted(values)
    if names is None or not whole:
        return tuple(ordered), {value: number for number, value in enumerate(ordered)}
    outside = [value for value in ordered if not 0 <= int(value) < len(names)]
    if outside:
        raise SourceError(f"{source} has the label {outside[0]}, and names for 0 to {len(names) - 1} only")
    return tuple(map(composed, names)), {value: int(value) for value in ordered}

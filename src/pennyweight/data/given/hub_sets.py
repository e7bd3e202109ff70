"""Data sets of Hugging Face's `datasets`: columns with features, whose pictures stay as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.data.given.pictures import content_of
from pennyweight.data.given.rows import Given, Row, classes_notes, labels_of, name_for
from pennyweight.data.given.tables import plain_cell
from pennyweight.data.readers.columns import COLUMNS, find_column, parse_group, parse_split
from pennyweight.data.readers.read_as import ReadAs

__all__ = ["is_hub_set", "of_hub_set", "pictures_in_hub_set"]


def is_hub_set(source: object) -> bool:
    """Return whether a source is a Dataset of Hugging Face, whose columns have features."""
    named = hasattr(source, "features") and hasattr(source, "column_names")
    return named and hasattr(source, "__getitem__") and hasattr(source, "__len__")


@dataclass(frozen=True, eq=False)
class Cell:
    """Picture in a column of a Hugging Face data set, as it is stored there."""

    dataset: Any
    column: str
    number: int
    where: str

    def read(self) -> bytes | NDArray[Any]:
        """Return the picture as bytes or as an array. Raises ImageError."""
        return content_of(lambda: _values(self.dataset[self.number][self.column]), self.where)


def of_hub_set(source: Any, read_as: ReadAs, group_by: str | None) -> Given:
    """Return the rows of a Dataset of Hugging Face, with the files of its pictures as they are stored."""
    dataset, name, picture, notes = _opened(source, read_as)
    split, groups = read_as.column(dataset.column_names, "split", name), None
    splits = [None] * len(dataset) if split is None else list(dataset[split])
    if group_by is not None and group_by in dataset.column_names:
        groups = list(dataset[group_by])
    label = read_as.column(dataset.column_names, "label", name)
    if label is None:
        raise SourceError(
            f"{name} has the columns {', '.join(dataset.column_names)}; labels need one of "
            f"{', '.join(COLUMNS['label'])}; another is named by read_as={{'columns': {{'label': NAME}}}}"
        )
    others = [each for each in dataset.column_names if each != label and find_column([each], "label")]
    if others:
        notes += (f"labels are those of the column '{label}', not of {' or '.join(others)}",)
    names = getattr(dataset.features[label], "names", None)
    labels = labels_of(list(dataset[label]), len(dataset), f"the labels of {name}", names)
    notes += classes_notes(labels, names, name)
    rows = [
        Row(
            Cell(dataset, picture, number, f"picture {number} of {name}"),
            text,
            f"{number:05d}",
            None if split is None else parse_split(plain_cell(splits[number]), f"row {number} of {name}"),
            None if groups is None else parse_group(plain_cell(groups[number])),
        )
        for number, text in enumerate(labels)
    ]
    return Given(name=name, rows=rows, notes=notes, read_as=read_as, label_column=label)


def pictures_in_hub_set(source: Any, read_as: ReadAs) -> Iterator[Cell]:
    """Yield the pictures of a Dataset of Hugging Face."""
    dataset, name, picture, _ = _opened(source, read_as)
    yield from (Cell(dataset, picture, number, f"picture {number} of {name}") for number in range(len(dataset)))


def _opened(source: Any, read_as: ReadAs) -> tuple[Any, str, str, tuple[str, ...]]:
    """Return the set with undecoded pictures, its name, its column of pictures, and notes."""
    name = name_for(getattr(getattr(source, "info", None), "dataset_name", None) or "dataset")
    dataset = source.with_format(None)
    picture = read_as.column(dataset.column_names, "picture", name) or read_as.column(
        dataset.column_names, "path", name
    )
    if picture is None:
        typed = [each for each, kind in dataset.features.items() if hasattr(kind, "decode")]
        picture = typed[0] if len(typed) == 1 else None
    if picture is None:
        raise SourceError(
            f"{name} has the columns {', '.join(dataset.column_names)}; pictures need one of "
            f"{', '.join(COLUMNS['picture'])}; another is named by read_as={{'columns': {{'picture': NAME}}}}"
        )
    kind = dataset.features[picture]
    if (stored := _stored_type(kind)).startswith("float"):
        raise SourceError(
            f"the column {picture} of {name} holds {stored}, and a picture array is uint8 or uint16; make it so by "
            f"dataset.map: np.uint8(255 * x) for values in 0..1"
        )
    if getattr(kind, "decode", False):
        dataset = dataset.cast_column(picture, type(kind)(decode=False))
    formatted = getattr(source, "format", {}).get("type") not in (None, "python")
    return dataset, name, picture, (f"{name} is read without its format or transform",) if formatted else ()


def _stored_type(kind: Any) -> str:
    """Return the type of a column's values, such as "uint8", also of those inside lists."""
    while (inner := kind[0] if isinstance(kind, list) and kind else getattr(kind, "feature", None)) is not None:
        kind = inner
    return str(getattr(kind, "dtype", ""))


def _values(value: Any) -> Any:
    """Return a cell; nested lists as an array, of uint8 where they hold whole numbers of 0 to 255."""
    if not (isinstance(value, list) and value and isinstance(value[0], list)):
        return value
    array = np.asarray(value)
    return array.astype(np.uint8) if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255 else array

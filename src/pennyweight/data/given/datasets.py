"""Data sets of other libraries: map-style ones of torch and torchvision, and those of Hugging Face's `datasets`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError, SourceError, received
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.reading import reading
from pennyweight.data.digests import digest_of_array
from pennyweight.data.given.pictures import FileBytes, Kept, as_picture
from pennyweight.data.given.rows import Given, Row, classes_notes, labels_of
from pennyweight.data.given.tables import is_table
from pennyweight.data.readers.columns import COLUMNS, find_column
from pennyweight.data.readers.read_as import ReadAs

__all__ = ["is_hub_set", "is_map_style", "of_hub_set", "of_map_style", "pictures_in_hub_set", "pictures_in_map_style"]

KEPT_BYTES = 1 << 30
"""Pictures of a data set that are kept in memory; later ones are read again when they are used."""
TRANSFORMS = {"transform": lambda picture: picture, "transforms": lambda picture, label: (picture, label)}
"""Attributes of a data set that change its pictures -> what leaves them unchanged, also where they are not optional."""


def is_map_style(source: object) -> bool:
    """Return whether a source gives (picture, label) by number, and has a length."""
    if isinstance(source, (str, bytes, list, tuple, Mapping, np.ndarray)) or is_table(source):
        return False
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


def is_hub_set(source: object) -> bool:
    """Return whether a source is a Dataset of Hugging Face, whose columns have features."""
    return hasattr(source, "features") and hasattr(source, "column_names") and hasattr(source, "__getitem__")


@dataclass(frozen=True, eq=False)
class Item:
    """Picture of a map-style data set, read when it is used, by one thread at a time."""

    dataset: Any
    number: int
    where: str
    lock: Any = field(default_factory=Lock, repr=False)

    def read(self) -> bytes | NDArray[Any]:
        """Return the picture as bytes or as an array. Raises ImageError."""
        with self.lock:
            return _content(lambda: _item(self.dataset, self.number, self.where)[0], self.where)


@dataclass(frozen=True, eq=False)
class Cell:
    """Picture in a column of a Hugging Face data set, as it is stored there."""

    dataset: Any
    column: str
    number: int
    where: str

    def read(self) -> bytes | NDArray[Any]:
        """Return the picture as bytes or as an array. Raises ImageError."""
        return _content(lambda: _values(self.dataset[self.number][self.column]), self.where)


def _content(get: Callable[[], Any], where: str) -> bytes | NDArray[Any]:
    """Return the picture that `get` gives as bytes or as an array. Raises ImageError with the place."""
    try:
        with reading(where, ImageError):
            found = as_picture(get(), where, Path.cwd())
            if isinstance(found, Path):
                return found.read_bytes()
            return found if isinstance(found, np.ndarray) else found.read()
    except SourceError as error:
        raise ImageError(f"cannot read {where}: {str(error).removeprefix(f'cannot read {where}: ')}") from error


def of_map_style(source: Any) -> Given:
    """Return the rows of a map-style data set, without its transforms. Raises SourceError for other items."""
    name = _name(type(source).__name__)
    dataset, changed = without_transforms(source)
    count = len(dataset)
    if (listed := _listed_files(dataset)) is not None:
        pictures: list[Kept] = [as_picture(path, name, Path.cwd()) for path, _ in listed]
        values, names = [label for _, label in listed], [str(path) for path, _ in listed]
    else:
        pictures, values = _read_items(dataset, count, name)
        names = [f"{number:05d}" for number in range(count)]
    classes = _classes(dataset)
    labels = labels_of(values, count, f"the labels of {name}", classes)
    notes = classes_notes(labels, classes, name)
    if changed:
        notes += (f"{name} is read without its transform: fit prepares and augments pictures itself",)
    return Given(name=name, rows=list(map(Row, pictures, labels, names)), notes=notes)


def pictures_in_map_style(source: Any) -> Iterator[Item]:
    """Yield the pictures of a map-style data set."""
    dataset, _ = without_transforms(source)
    lock = Lock()
    yield from (Item(dataset, number, f"item {number}", lock) for number in range(len(dataset)))


def of_hub_set(source: Any, read_as: ReadAs) -> Given:
    """Return the rows of a Dataset of Hugging Face, with the files of its pictures as they are stored."""
    dataset, name, picture, notes = _opened(source, read_as)
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
        Row(Cell(dataset, picture, number, f"picture {number} of {name}"), text, f"{number:05d}")
        for number, text in enumerate(labels)
    ]
    return Given(name=name, rows=rows, notes=notes, read_as=read_as)


def pictures_in_hub_set(source: Any, read_as: ReadAs) -> Iterator[Cell]:
    """Yield the pictures of a Dataset of Hugging Face."""
    dataset, name, picture, _ = _opened(source, read_as)
    yield from (Cell(dataset, picture, number, f"picture {number} of {name}") for number in range(len(dataset)))


def _opened(source: Any, read_as: ReadAs) -> tuple[Any, str, str, tuple[str, ...]]:
    """Return the set with undecoded pictures, its name, its column of pictures, and notes."""
    name = _name(getattr(getattr(source, "info", None), "dataset_name", None) or "dataset")
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
    if getattr(kind, "decode", False):
        dataset = dataset.cast_column(picture, type(kind)(decode=False))
    formatted = getattr(source, "format", {}).get("type") not in (None, "python")
    return dataset, name, picture, (f"{name} is read without its format or transform",) if formatted else ()


def _values(value: Any) -> Any:
    """Return a cell; nested lists of whole numbers as an array."""
    return np.asarray(value, np.uint8) if isinstance(value, list) and value and isinstance(value[0], list) else value


def without_transforms(source: Any) -> tuple[Any, bool]:
    """Return a copy of a data set, and of those that it wraps, without their transforms; and whether there were any."""
    made, changed = copy.copy(source), False
    for name, unchanged in TRANSFORMS.items():
        if getattr(made, "__dict__", {}).get(name) is not None:
            setattr(made, name, unchanged)
            changed = True
    if is_map_style(inner := getattr(made, "dataset", None)):
        made.dataset, inside = without_transforms(inner)
        changed |= inside
    if isinstance(several := getattr(made, "datasets", None), (list, tuple)):
        parts = [without_transforms(each) for each in several]
        made.datasets = [part for part, _ in parts]
        changed |= any(inside for _, inside in parts)
    return made, changed


def _listed_files(dataset: Any) -> Sequence[tuple[Any, Any]] | None:
    """Return the (path, class) pairs of an ImageFolder, or of parts of one; None for any other data set."""
    if getattr(dataset, "target_transform", None) is not None:
        return None
    inner, chosen = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if inner is not None and chosen is not None:
        listed = _listed_files(inner)
        return None if listed is None else [listed[int(number)] for number in chosen]
    if isinstance(parts := getattr(dataset, "datasets", None), list) and parts:
        found = [_listed_files(part) for part in parts]
        return None if None in found else [pair for part in found for pair in part or ()]
    listed, loader = getattr(dataset, "samples", None), getattr(dataset, "loader", None)
    if not isinstance(listed, list) or not str(getattr(loader, "__module__", "")).startswith("torchvision."):
        return None  # a loader of its own may read other pixels
    pairs = all(isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str) for each in listed)
    known = pairs and all(Path(path).suffix.lower() in EXTENSIONS for path, _ in listed)
    return listed if known and len(listed) == len(dataset) else None


def _classes(dataset: Any) -> Sequence[str] | None:
    """Return the names of the classes of a data set, or of the one that it wraps; None where it has none."""
    if getattr(dataset, "target_transform", None) is not None:
        return None  # its numbers mean something else
    names = getattr(dataset, "classes", None)
    if isinstance(names, (list, tuple)) and names:
        return [
            name if isinstance(name, str) else ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
            for name in names
        ]
    if (inner := getattr(dataset, "dataset", None)) is not None:
        return _classes(inner)
    parts = getattr(dataset, "datasets", None)
    found = [_classes(each) for each in parts] if isinstance(parts, (list, tuple)) else []
    return found[0] if found and all(each == found[0] for each in found) else None


def _read_items(dataset: Any, count: int, name: str) -> tuple[list[Kept], list[Any]]:
    """Read every item once; return its picture, kept in memory up to KEPT_BYTES, and its label as it is given."""
    pictures: list[Kept] = []
    values, held, lock = [], 0, Lock()
    for number in range(count):
        where = f"item {number} of {name}"
        picture, label = _item(dataset, number, where)
        kept = as_picture(picture, where, Path.cwd())
        if not number:
            _require_steady(dataset, kept, where)
        size = kept.nbytes if isinstance(kept, np.ndarray) else len(kept.content) if isinstance(kept, FileBytes) else 0
        held += size
        pictures.append(kept if held <= KEPT_BYTES else Item(dataset, number, where, lock))
        values.append(label)
    return pictures, values


def _require_steady(dataset: Any, first: Kept, where: str) -> None:
    """Raise SourceError for a data set that gives another picture each time."""
    again = as_picture(_item(dataset, 0, where)[0], where, Path.cwd())
    if isinstance(first, np.ndarray) and (
        not isinstance(again, np.ndarray) or digest_of_array(first) != digest_of_array(again)
    ):
        raise SourceError(f"{where} is another picture each time; leave out its random changes: fit augments itself")


def _item(dataset: Any, number: int, where: str) -> tuple[Any, Any]:
    """Return picture and label of an item. Raises SourceError where the data set cannot read it."""
    with reading(where):
        return _pair(dataset[number], where)


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    """Return picture and label of an item: a pair, or a mapping with usual names. Raises SourceError for others."""
    if isinstance(item, Mapping):
        names = [find_column(map(str, item), meaning) for meaning in ("picture", "label")]
        if None not in names:
            return item[names[0]], item[names[1]]
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    what = f"{len(item)} values" if isinstance(item, (tuple, list)) else received(item)
    raise SourceError(f"{where} is {what}; an item is (picture, label)")


def _name(text: str) -> str:
    """Return a name for a run's folder: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "dataset"

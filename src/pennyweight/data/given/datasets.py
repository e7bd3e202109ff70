"""Map-style data sets of torch and torchvision: (picture, label) by number, read without their transforms."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError, received
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.machine import memory_share
from pennyweight.core.reading import reading
from pennyweight.data.digests import digest_of_array
from pennyweight.data.given.pictures import FileBytes, Kept, as_picture, content_of
from pennyweight.data.given.rows import Given, Row, classes_notes, labels_of, name_for
from pennyweight.data.given.tables import is_table
from pennyweight.data.readers.columns import find_column

__all__ = ["is_map_style", "of_map_style", "pictures_in_map_style"]

KEPT_BYTES = 1 << 30
KEPT_SHARE = 0.25
"""Bytes of pictures that are kept, and their largest share of the memory; later ones are read when they are used."""
TRANSFORMS = {
    "transform": lambda picture=None, **named: named or picture,  # called by name, as albumentations' are
    "transforms": lambda picture, label: (picture, label),
}
"""Attributes of a data set that change its pictures -> what leaves them unchanged, also where they are not optional."""


def is_map_style(source: object) -> bool:
    """Return whether a source gives (picture, label) by number, and has a length."""
    if isinstance(source, (str, bytes, list, tuple, Mapping, np.ndarray)) or is_table(source):
        return False
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


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
            return content_of(lambda: _item(self.dataset, self.number, self.where)[0], self.where)


def of_map_style(source: Any) -> Given:
    """Return the rows of a map-style data set, without its transforms. Raises SourceError for other items."""
    name = name_for(type(source).__name__)
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
    numbered = _classes(dataset, wrapped=True) if classes is None else None
    if numbered is not None:
        notes += (f"classes are the labels that {name} gives; its attribute `classes` would name them",)
    if changed:
        notes += (f"{name} is read without its transform: fit prepares and augments pictures itself",)
    rows = list(map(Row, pictures, labels, names))
    return Given(name=name, rows=rows, notes=notes, numbered=None if numbered is None else tuple(numbered))


def pictures_in_map_style(source: Any) -> Iterator[Item]:
    """Yield the pictures of a map-style data set."""
    dataset, _ = without_transforms(source)
    lock = Lock()
    yield from (Item(dataset, number, f"item {number}", lock) for number in range(len(dataset)))


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
    if getattr(dataset, "target_transform", None) is not None or not _gives_items_as_torch(dataset):
        return None  # its items may be others than those that it lists
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


def _gives_items_as_torch(dataset: Any) -> bool:
    """Return whether the items of a data set come from a method of torch or torchvision itself."""
    module = getattr(getattr(type(dataset), "__getitem__", None), "__module__", "") or ""
    return module.partition(".")[0] in ("torch", "torchvision")


def _classes(dataset: Any, *, wrapped: bool = False) -> Sequence[str] | None:
    """Return the names of the classes of a data set, or of the one that it wraps; None where it has none.

    A wrapper with a method of its own may number its classes otherwise, and is believed only if `wrapped`.
    """
    if getattr(dataset, "target_transform", None) is not None:
        return None  # its numbers mean something else
    names = getattr(dataset, "classes", None)
    if isinstance(names, (list, tuple)) and names:
        return [
            name if isinstance(name, str) else ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
            for name in names
        ]
    if not wrapped and not _gives_items_as_torch(dataset):
        return None
    if (inner := getattr(dataset, "dataset", None)) is not None:
        return _classes(inner, wrapped=wrapped)
    parts = getattr(dataset, "datasets", None)
    found = [_classes(each, wrapped=wrapped) for each in parts] if isinstance(parts, (list, tuple)) else []
    unlike = next((each for each in found if None not in (each, found[0]) and each != found[0]), None)
    if unlike is not None:
        raise SourceError(
            f"parts of the {type(dataset).__name__} number unlike classes, {', '.join(found[0] or ())} and "
            f"{', '.join(unlike)}, so a number means two classes; give every part the same classes"
        )
    return found[0] if found and None not in found else None


def _read_items(dataset: Any, count: int, name: str) -> tuple[list[Kept], list[Any]]:
    """Read every item once; return its picture, kept in memory up to KEPT_BYTES, and its label as it is given."""
    pictures: list[Kept] = []
    values, held, lock, most = [], 0, Lock(), memory_share(KEPT_BYTES, KEPT_SHARE)
    for number in range(count):
        where = f"item {number} of {name}"
        picture, label = _item(dataset, number, where)
        kept = as_picture(picture, where, Path.cwd())
        if not number:
            _require_steady(dataset, kept, where)
        size = kept.nbytes if isinstance(kept, np.ndarray) else len(kept.content) if isinstance(kept, FileBytes) else 0
        held += size
        pictures.append(kept if held <= most else Item(dataset, number, where, lock))
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

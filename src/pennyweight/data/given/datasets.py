"""Map-style data sets of torch and torchvision: (picture, label) by number, read without their transforms."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from pennyweight.core.errors import SourceError
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.reading import reading
from pennyweight.data.given.items import Item, read_items
from pennyweight.data.given.pictures import Kept, as_picture
from pennyweight.data.given.rows import Given, Row, classes_notes, labels_of, name_for
from pennyweight.data.given.tables import is_table

__all__ = ["is_map_style", "of_map_style", "pictures_in_map_style"]

TRANSFORMS = {
    "transform": lambda picture=None, **named: named or picture,  # called by name, as albumentations' are
    "transforms": lambda picture, label: (picture, label),
}
"""Attributes of a data set that change its pictures -> what leaves them unchanged, also where they are not optional."""

NAMING = ("classes", "class_to_idx")
"""Attributes of a data set that name its classes."""


def is_map_style(source: object) -> bool:
    """Return whether a source gives (picture, label) by number, and has a length."""
    if isinstance(source, (str, bytes, list, tuple, Mapping, np.ndarray)) or is_table(source):
        return False
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


def of_map_style(source: Any) -> Given:
    """Return the rows of a map-style data set, without its transforms. Raises SourceError for other items."""
    name = name_for(type(source).__name__)
    dataset, changed = without_transforms(source)
    with reading(f"the length of {name}"):
        count = len(dataset)
    if (listed := _listed_files(dataset)) is not None:
        pictures: list[Kept] = [as_picture(path, name, Path.cwd()) for path, _ in listed]
        values, names = [label for _, label in listed], [str(path) for path, _ in listed]
    else:
        pictures, values = read_items(dataset, count, name)
        names = [f"{number:05d}" for number in range(count)]
    classes = _classes(dataset)
    labels = labels_of(values, count, f"the labels of {name}", classes)
    notes = classes_notes(labels, classes, name)
    numbered = _classes(dataset, wrapped=True) if classes is None else None
    if numbered is not None:
        notes += (f"classes are the labels that {name} gives; its attribute `classes` would name them",)
    if classes is None:
        notes += _unused_classes_note(dataset, name)
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


def _own_classes(dataset: Any) -> list[str] | None:
    """Return the names of `classes`, or of `class_to_idx`: a list, an array, or a mapping of numbers and names."""
    for found in (getattr(dataset, name, None) for name in NAMING):
        names: Any = found
        if isinstance(found, Mapping):
            numbered = {number: name for name, number in found.items()} if _are_whole(found.values()) else dict(found)
            if not _are_whole(numbered) or sorted(numbered) != list(range(len(numbered))):
                continue
            names = [numbered[number] for number in range(len(numbered))]
        elif found is not None and hasattr(found, "tolist"):
            names = found.tolist()
        if isinstance(names, (list, tuple)) and names:
            return [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    return None


def _are_whole(values: Iterable[Any]) -> bool:
    return all(isinstance(value, Integral) and not isinstance(value, bool) for value in values)


def _unused_classes_note(dataset: Any, name: str) -> tuple[str, ...]:
    """Return a note where a data set has an attribute `classes` that does not name its numbers."""
    found = getattr(dataset, "classes", None)
    if found is None or callable(found) or getattr(dataset, "target_transform", None) is not None:
        return ()
    return (f"the classes of {name}, {type(found).__name__}, do not name its numbers: a list of names does",)


def _classes(dataset: Any, *, wrapped: bool = False) -> Sequence[str] | None:
    """Return the names of the classes of a data set, or of the one that it wraps; None where it has none.

    A wrapper with a method of its own may number its classes otherwise, and is believed only if `wrapped`.
    """
    if getattr(dataset, "target_transform", None) is not None:
        return None  # its numbers mean something else
    if (names := _own_classes(dataset)) is not None:
        return names
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

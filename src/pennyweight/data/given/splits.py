"""Mappings of splits: each split is a source of its own, and all are read alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pennyweight.core.errors import SourceError
from pennyweight.data.given import hub_sets, pairs
from pennyweight.data.given.rows import Given
from pennyweight.data.readers.columns import whole_number
from pennyweight.data.readers.layout import find_split
from pennyweight.data.readers.npz import pictures_of_arrays
from pennyweight.data.source import Split

__all__ = ["is_splits", "open_splits"]

PLAIN = (1, 3, 4)
"""Channels of gray, color and transparent pictures, which may be mixed."""


def is_splits(source: object) -> bool:
    """Return whether a source is a mapping of splits: their names, or values that are data sets or pairs."""
    if not isinstance(source, Mapping) or not source:
        return False
    named = [find_split(str(name)) is not None for name in source]
    whole = [hub_sets.is_hub_set(value) or pairs.is_pair(value) for value in source.values()]
    return all(named) or all(whole)


def open_splits(source: Mapping[Any, Any], open_part: Callable[[Any], Given]) -> Given:
    """Return the rows of all splits; `open_part` opens a single one.

    Raises SourceError for names that are not splits, or if two splits have pictures or classes of different kinds.
    """
    parts, notes = _converted(_by_split(source))
    opened = {split: open_part(value).of_split(split) for split, value in parts.items()}
    _require_alike_pictures(opened)
    _require_alike_classes(opened)
    first = next(iter(opened.values()))
    notes += [note for part in opened.values() for note in part.notes]
    columns = {part.label_column: split for split, part in opened.items()}
    if len(columns) > 1:
        named = " and ".join(f"of {split} those of '{column}'" for column, split in columns.items())
        notes.append(f"labels are from unlike columns: {named}")
    rows = [row for part in opened.values() for row in part.rows]
    return replace(first, rows=rows, notes=tuple(dict.fromkeys(notes)))


def _by_split(source: Mapping[Any, Any]) -> dict[Split, Any]:
    """Return the sources by the split that each key names."""
    parts: dict[Split, Any] = {}
    for name, value in source.items():
        split = find_split(str(name))
        if split is None:
            kept = {key for key in source if find_split(str(key)) is not None}
            raise SourceError(
                f"'{name}' is no split; keep train, val and test: {{name: sets[name] for name in {kept}}}"
            )
        if split in parts:
            raise SourceError(f"two keys mean the split {split}, one of them '{name}'; join them, or leave one out")
        if isinstance(value, str):
            raise SourceError(
                f"'{name}' of the dict of splits is the text {value!r:.60}; a folder with the folders train and test "
                f"is passed by its own path"
            )
        parts[split] = value
    return parts


def _converted(parts: dict[Split, Any]) -> tuple[dict[Split, Any], list[str]]:
    """Return the parts with their arrays of pictures converted together, so that one range holds for all; and notes."""
    arrays = {
        str(split): array
        for split, value in parts.items()
        if pairs.is_pair(value) and (array := pairs.whole_array(value[0])) is not None
    }
    if len(arrays) < 2:
        return parts, []
    made, notes = pictures_of_arrays(arrays, "the dict of splits")
    return {split: (made[split], value[1]) if split in made else value for split, value in parts.items()}, notes


def _require_alike_pictures(opened: Mapping[Split, Given]) -> None:
    """Raise SourceError where arrays of two splits have unlike types or numbers of bands."""
    types, bands = {}, {}
    for split, part in opened.items():
        arrays = [row.picture for row in part.rows if isinstance(row.picture, np.ndarray)]
        types[split] = {str(array.dtype) for array in arrays}
        channels = {array.shape[2] if array.ndim == 3 else 1 for array in arrays}
        bands[split] = {"1 to 4 channels" if count in PLAIN else f"{count} bands" for count in channels}
    for what, found in (("arrays of", types), ("pictures of", bands)):
        known = {split: " and ".join(sorted(kinds)) for split, kinds in found.items() if kinds}
        if len(set(known.values())) > 1:
            listed = ", ".join(f"{split} {what} {kinds}" for split, kinds in known.items())
            raise SourceError(f"the splits hold pictures of unlike kinds: {listed}; convert them alike")


def _require_alike_classes(opened: Mapping[Split, Given]) -> None:
    """Raise SourceError where one split names its classes and another numbers them, or numbers others."""
    numbered = {split: part.numbered for split, part in opened.items() if part.numbered is not None}
    if len(set(numbered.values())) > 1:
        (one, first), (other, second) = list(numbered.items())[:2]
        raise SourceError(
            f"{one} and {other} number their classes by unlike lists, {_listed(first)} and {_listed(second)}, so a "
            f"number means two classes; give the data sets an attribute `classes` with the names of their numbers"
        )
    trained = {row.label for row in opened["train"].rows} if "train" in opened else set()
    for split, part in opened.items():
        labels = {row.label for row in part.rows}
        if trained and (others := labels - trained) and _are_numbers(labels) != _are_numbers(trained):
            raise SourceError(
                f"{split} has the class {min(others)} and train has {_listed(trained)}: one numbers classes and the "
                f"other names them; give both the names, such as names[label]"
            )


def _are_numbers(labels: Iterable[str]) -> bool:
    return all(whole_number(label) is not None for label in labels)


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)[:3]) + ", …"

"""Classes and splits of shards: from fields, else from the folders in the shards, else from the shards' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.data.readers.example import LABELS, TEXT, WITHOUT
from pennyweight.data.readers.layout import SPLIT_NAMES
from pennyweight.data.source import Split

__all__ = ["Classes", "find_classes", "find_splits"]

MOST_TEXTS = 50
"""Largest number of different texts that count as classes even if there is more than one for two pictures."""
NUMBERED = re.compile(r"[-_.]\d+$")
PADDED = re.compile(r"0\d\d+|\d{4,}")
"""Name that numbers a shard, such as 00012."""


class Classes(NamedTuple):
    """Class of each sample, empty without one, and a note on their origin."""

    found: list[str]
    notes: tuple[str, ...] = ()


def find_classes(
    written: Sequence[str], keys: Sequence[str], shards: Sequence[str], notes: Sequence[str], address: str
) -> Classes:
    """Return the classes of usable samples.

    Args:
        written: Class of each sample as the shards write it; empty without one.
        keys: Key of each sample: its folder in the shard and its name.
        shards: Name of each sample's shard, without its extension.
        notes: Note of each sample on its fields.
        address: Address of the set, for messages.

    Raises:
        SourceError: No sample has a class, or nearly every picture has a text of its own.
    """
    if any(written):
        _require_classes(written, notes, address)
        return Classes(list(written), _notes_on_fields(notes))
    folders = _class_folders(keys)
    if any(folders):
        said = f"the class of a picture is its folder in the shard, such as {folders[0]} of {keys[0]}"
        return Classes(folders, (said, *_notes_on_fields(notes)))
    names = [NUMBERED.sub("", name) for name in shards]
    if not names or all(_split_of(name) or PADDED.fullmatch(name) for name in names):
        raise SourceError(
            f"no sample of {address} has a class: it is in a field {', '.join(LABELS)} or {TEXT}, or the name of the "
            f"picture's folder in the shard, or of its tar{_hint(notes)}"
        )
    return Classes(names, ("the class of a picture is the name of its tar", *_notes_on_fields(notes)))


def _class_folders(keys: Sequence[str]) -> list[str]:
    """Return the folder of each key that names its class: the innermost of which there are several names.

    Splits are no classes.
    """
    paths = [key.split("/")[-2::-1] for key in keys]
    for level in range(max(map(len, paths), default=0)):
        names = [path[level] if level < len(path) else "" for path in paths]
        if len(set(names)) > 1 and not all(_split_of(name) for name in names):
            return names
    innermost = [path[0] if path else "" for path in paths]
    return [""] * len(innermost) if all(map(_split_of, innermost)) else innermost


def find_splits(
    given: Sequence[str], keys: Sequence[str], shards: Sequence[Split | None], classes: Sequence[str]
) -> list[Split | None]:
    """Return the split of each sample: its own, else that of its shard, else the first folder that names one.

    Where a sample has none, no sample has one, so that all are split by content.

    Args:
        given: Split of each sample as the shards write it; empty without one.
        keys: Key of each sample: its folders in the shard and its name.
        shards: Split of each sample's shard.
        classes: Class of each sample; a folder of that name is no split.
    """
    found = [
        _split_of(own) or shard or _split_in(key, label)
        for own, key, shard, label in zip(given, keys, shards, classes, strict=True)
    ]
    return [None] * len(found) if None in found else found


def _split_in(key: str, label: str) -> Split | None:
    folders = (_split_of(folder) for folder in key.split("/")[:-1] if folder != label)
    return next(filter(None, folders), None)


def _hint(notes: Sequence[str]) -> str:
    """Return the most common note on fields without a class, to follow an error."""
    found = Counter(note for note in notes if note.startswith(WITHOUT)).most_common(1)
    return f"; {found[0][0]}" if found else ""


def _split_of(name: str) -> Split | None:
    return SPLIT_NAMES.get(re.split(r"[-_.]", name.lower())[0])


def _require_classes(written: Sequence[str], notes: Sequence[str], address: str) -> None:
    """Raise SourceError for texts that describe pictures."""
    kinds = len(set(written))
    if kinds > MOST_TEXTS and 2 * kinds > len(written) and any(note.endswith(TEXT) for note in notes):
        raise SourceError(
            f"{address} has {kinds:,} different texts in {TEXT} for {several(len(written), 'picture')}: "
            "they describe pictures; write the class in a field cls"
        )


def _notes_on_fields(notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{note}, in {several(count, 'sample')}"
        for note, count in sorted(Counter(filter(None, notes)).items())
        if not note.startswith(WITHOUT)
    )

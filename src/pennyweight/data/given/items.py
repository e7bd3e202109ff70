"""Items of a map-style data set: (picture, label) by number, which must be the same at every look."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError, received
from pennyweight.core.machine import memory_share
from pennyweight.core.reading import reading
from pennyweight.data.digests import digest_of_array
from pennyweight.data.given.pictures import FileBytes, Kept, as_picture, content_of
from pennyweight.data.readers.columns import find_column

__all__ = ["LOOKS", "Item", "evenly", "read_items"]

KEPT_BYTES = 1 << 30
KEPT_SHARE = 0.25
"""Bytes of pictures that are kept, and their largest share of the memory; later ones are read when they are used."""
LOOKS = 8
"""Items that are read twice: one that is mirrored at random differs at one of 8 looks with a chance of 255 in 256."""


@dataclass(frozen=True, eq=False)
class Item:
    """Picture of a map-style data set, read when it is used, by one thread at a time."""

    dataset: Any
    number: int
    where: str
    lock: Any = field(default_factory=Lock, repr=False)
    digest: str = ""
    """Digest of the picture at the first look, which later ones must have; empty for a single look."""

    def read(self) -> bytes | NDArray[Any]:
        """Return the picture as bytes or as an array. Raises ImageError, and SourceError for another picture."""
        with self.lock:
            found = content_of(lambda: _item(self.dataset, self.number, self.where)[0], self.where)
        if self.digest and _digest(found) != self.digest:
            raise _unsteady(self.where)
        return found


def read_items(dataset: Any, count: int, name: str) -> tuple[list[Kept], list[Any]]:
    """Read every item once; return its picture, kept in memory up to KEPT_BYTES, and its unchanged label.

    Raises SourceError for a value that is not an item, or a data set whose items differ at a second read.
    """
    pictures: list[Kept] = []
    values, held, lock, most = [], 0, Lock(), memory_share(KEPT_BYTES, KEPT_SHARE)
    steady = dict.fromkeys(evenly(count, LOOKS), "")
    for number in range(count):
        where = f"item {number} of {name}"
        picture, label = _item(dataset, number, where)
        kept = as_picture(picture, where, Path.cwd())
        held += kept.nbytes if isinstance(kept, np.ndarray) else len(kept.content) if isinstance(kept, FileBytes) else 0
        within = isinstance(kept, Path) or held <= most
        pictures.append(kept if within else Item(dataset, number, where, lock, _digest(kept)))
        values.append(label)
        if number in steady:
            steady[number] = f"{_digest(kept)} {label}"
    for number, first in steady.items():
        where = f"item {number} of {name}"
        picture, label = _item(dataset, number, where)
        if f"{_digest(as_picture(picture, where, Path.cwd()))} {label}" != first:
            raise _unsteady(where)
    return pictures, values


def evenly(count: int, most: int) -> list[int]:
    """Return up to `most` numbers below `count`, spread evenly: the first, the last and some between."""
    return sorted({round(place * (count - 1) / max(1, most - 1)) for place in range(most)}) if count else []


def _unsteady(where: str) -> SourceError:
    return SourceError(f"{where} is another one each time; leave out its random changes: fit augments itself")


def _digest(picture: Any) -> str:
    """Return the digest of a kept picture: of its values, of its bytes, or its path."""
    if isinstance(picture, np.ndarray):
        return digest_of_array(picture)
    content = picture.content if isinstance(picture, FileBytes) else picture
    return str(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


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

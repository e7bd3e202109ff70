"""Open what a program passes as a source, by what it offers; nothing is imported to recognize it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pennyweight.core.errors import ImageError, SourceError, received
from pennyweight.data.digests import digest_of_picture
from pennyweight.data.given import datasets, hub_sets, pairs, splits, tables
from pennyweight.data.given.items import LOOKS, evenly
from pennyweight.data.given.rows import ADDRESS, Given, make_source
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.source import Source

__all__ = ["KINDS", "is_passed", "open_given", "pictures_of_given", "require_unchanged"]

KINDS = (
    "(images, labels), a list of (path, label), a DataFrame, a data set of torch or Hugging Face, or a dict of splits "
    "of these"
)


def open_given(source: Any, read_as: ReadAs, group_by: str | None) -> Source:
    """Return the source of what a program passed. Raises SourceError with the nearest thing that works."""
    return make_source(_given(source, read_as, group_by))


def is_passed(address: str) -> bool:
    """Return whether an address is that of pictures that a program passed."""
    return address.startswith(ADDRESS)


def require_unchanged(source: Source) -> None:
    """Raise SourceError if pictures that a program passed are others by now; some of them are read again."""
    samples = source.samples if is_passed(source.address) else ()
    for sample in (samples[number] for number in evenly(len(samples), LOOKS)):
        try:
            digest = digest_of_picture(sample.read())
        except (OSError, ImageError):  # the decoding pass reports unreadable files
            continue
        if digest != sample.digest:
            raise SourceError(
                f"{sample.where} is another picture than when it was passed; pass a copy, which nothing changes"
            )


def pictures_of_given(source: Any, read_as: ReadAs, note: Callable[[str], None]) -> Iterator[Any] | None:
    """Return an iterator over the pictures of arrays, a table or a data set; None for anything else.

    Labels are not needed, and those of (images, labels) are not read. A picture with `read` and `where` is read later.
    Raises SourceError for a dict of splits, of which one is meant.
    """
    if splits.is_splits(source):
        names = ", ".join(map(str, source))
        raise SourceError(f"a dict of splits was passed, and pictures of one are meant: source[NAME], NAME of {names}")
    if hub_sets.is_hub_set(source):
        return hub_sets.pictures_in_hub_set(source, read_as)
    if tables.is_table(source):
        return iter(tables.pictures_in_table(source, read_as))
    if pairs.is_pair(source) and np.ndim(source[1]) < 2:
        source = source[0]
    if isinstance(source, np.ndarray) and source.ndim == 4:
        kept, _, notes = pairs.listed_pictures(source, "the array")
        for line in notes:
            note(line)
        return iter(kept)
    return datasets.pictures_in_map_style(source) if datasets.is_map_style(source) else None


def _given(source: Any, read_as: ReadAs, group_by: str | None) -> Given:
    if splits.is_splits(source):
        return splits.open_splits(source, lambda part: _given(part, read_as, group_by))
    if hub_sets.is_hub_set(source):
        return hub_sets.of_hub_set(source, read_as, group_by)
    if tables.is_table(source):
        return tables.of_table(source, read_as, group_by)
    if pairs.is_pair(source):
        return pairs.of_pair(source)
    if pairs.is_pairs(source):
        return pairs.of_pairs(source)
    _refuse(source)
    return datasets.of_map_style(source)


def _refuse(source: Any) -> None:
    """Raise SourceError for what has no pictures with labels, with the nearest thing that works."""
    if datasets.is_map_style(source):
        return
    if isinstance(source, np.ndarray) or hasattr(source, "permute"):
        raise SourceError(f"{type(source).__name__} {tuple(source.shape)} has no labels; pass (images, labels)")
    if hasattr(source, "dataset") and hasattr(source, "batch_size"):
        raise SourceError("a DataLoader gives batches, which are prepared already; pass its data set: loader.dataset")
    if isinstance(source, list) and len(source) == 2 and all(isinstance(each, (list, np.ndarray)) for each in source):
        raise SourceError("a list of pictures and labels was passed; pass a tuple: (images, labels)")
    if isinstance(source, (list, tuple, Mapping)):
        what = "an empty" if not source else "a"
        raise SourceError(f"{what} {type(source).__name__} without labels was passed; a program passes {KINDS}")
    if hasattr(source, "collect") and hasattr(source, "schema"):
        raise SourceError(f"a {type(source).__name__} has not been computed; pass its table: source.collect()")
    if hasattr(source, "read_all") and hasattr(source, "schema"):
        raise SourceError(f"a {type(source).__name__} reads a table in parts; pass the whole one: source.read_all()")
    if hasattr(source, "__iter__") and not isinstance(source, bytes):
        raise SourceError(f"a {type(source).__name__} was passed; a program passes {KINDS}: list(…) makes a list")
    raise SourceError(f"a source is a path or a name, such as digits, not {received(source)}; or {KINDS}")

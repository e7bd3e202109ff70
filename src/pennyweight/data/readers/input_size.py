"""What pictures look like, from their headers: the input that suits them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pennyweight.core.errors import ImageError
from pennyweight.core.images import Header, header
from pennyweight.data.source import Sample

__all__ = ["Looks", "header_of", "looks", "suited"]

PHOTO_SIZE = 224
SMALL_SIZE = 64


class Looks(NamedTuple):
    """The input that suits pictures, from all headers that can be read."""

    size: int
    """Side of the input in pixels."""
    channels: int
    """What the pictures need: 1 where all of them are grey."""
    wide: int = 0
    """Pictures of 16 bits."""
    notes: tuple[str, ...] = ()
    """Lines for a person: pictures of both kinds, pages that are not read."""


def looks(samples: Sequence[Sample]) -> Looks:
    """Look at the headers of all samples; those that cannot be read say nothing."""
    return suited((sample.name, header_of(sample.read())) for sample in samples)


def suited(named: Iterable[tuple[str, Header | None]]) -> Looks:
    """Return what suits pictures with such headers.

    The size is 224 for photographs, for small pictures their median short side, to a multiple of 32. Colors win over
    grey, whatever their share. Most of the pictures decide on many bands.
    """
    kinds: Counter[tuple[int, bool]] = Counter()
    short: Counter[int] = Counter()
    wide, paged = 0, ""
    for name, found in named:
        if found is None:
            continue
        kinds[found.bands, found.banded] += 1
        short[min(found.height, found.width)] += 1
        wide += found.wide
        paged = paged or (name if found.more else "")
    total = kinds.total()
    if not total:
        return Looks(PHOTO_SIZE, 3)
    median = statistics.median(short.elements())
    size = PHOTO_SIZE if median > SMALL_SIZE else max(32, round(median / 32) * 32)
    notes: tuple[str, ...] = ()
    if paged:
        notes = (f"of an animation, and of a file of several pages, the first is taken, as of {paged}",)
    banded = Counter({bands: count for (bands, many), count in kinds.items() if many})
    if banded.total() > total / 2:
        return Looks(size, banded.most_common(1)[0][0], wide, notes)
    # Transparency is laid on white unless four channels are asked for: it is rarely what a class is known by.
    plain = {bands: count for (bands, many), count in kinds.items() if not many}
    grey = plain.get(1, 0)
    if 0 < grey < sum(plain.values()):
        notes += (f"{grey:,} of {total:,} pictures are grey, the others have colors: they suit 3 channels",)
    return Looks(size, 1 if set(plain) == {1} else 3, wide, notes)


def header_of(picture: Path | bytes | NDArray[Any]) -> Header | None:
    """Return what a header says, or None for one that cannot be read."""
    try:
        return header(picture)
    except ImageError:
        return None

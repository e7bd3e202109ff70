"""Input size and channels that suit pictures, from the headers of their files."""

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

__all__ = ["SuggestedInput", "aspect_of", "header_or_none", "suggest_input", "suggest_input_for"]

PHOTO_SIZE = 224
SMALL_SIZE = 64
CHANNELS = (1, 3, 4)
"""Heights of arrays that look like channels which come first."""


class SuggestedInput(NamedTuple):
    """Input size and channels that suit pictures, from all headers that can be read."""

    size: int
    """Side of the input in pixels."""
    channels: int
    """1 if all pictures are gray, else 3, or the number of bands of multispectral pictures."""
    wide: int = 0
    """Number of 16-bit pictures."""
    notes: tuple[str, ...] = ()
    """Lines for the user: gray and color pictures mixed, pages that are not read."""


def suggest_input_for(samples: Sequence[Sample]) -> SuggestedInput:
    """Return the input that suits the samples; headers that cannot be read are ignored."""
    return suggest_input((sample.name, header_or_none(sample.read())) for sample in samples)


def suggest_input(named: Iterable[tuple[str, Header | None]]) -> SuggestedInput:
    """Return the input that suits pictures with these headers, given as (name, header) pairs.

    The size is 224 for photographs; for small pictures it is their median short side, rounded to a multiple of 32. One
    color picture makes 3 channels. More than three bands need a majority of the pictures.
    """
    kinds: Counter[tuple[int, bool]] = Counter()
    short: Counter[int] = Counter()
    wide, paged, first, height = 0, "", 0, 0
    for name, found in named:
        if found is None:
            continue
        kinds[found.bands, found.banded] += 1
        short[min(found.height, found.width)] += 1
        wide += found.wide
        if found.banded and found.height in CHANNELS and found.bands > max(CHANNELS):
            first, height = first + 1, found.height
        paged = paged or (name if found.more else "")
    total = kinds.total()
    if not total:
        return SuggestedInput(PHOTO_SIZE, 3)
    median = statistics.median(short.elements())
    size = PHOTO_SIZE if median > SMALL_SIZE else max(32, round(median / 32) * 32)
    notes: tuple[str, ...] = ()
    if paged:
        notes = (f"only the first frame or page of a file is read, such as that of {paged}",)
    banded = Counter({bands: count for (bands, many), count in kinds.items() if many})
    if banded.total() > total / 2:
        bands = banded.most_common(1)[0][0]
        if 2 * first > total:
            notes += (
                f"pictures are {height} pixels high with {bands} bands; if channels come first in these arrays, move "
                "them to the end: numpy.moveaxis(array, 0, -1)",
            )
        return SuggestedInput(size, bands, wide, notes)
    # Transparent pixels become white unless the user chooses four channels: classes rarely differ by transparency.
    plain = {bands: count for (bands, many), count in kinds.items() if not many}
    gray = plain.get(1, 0)
    if 0 < gray < sum(plain.values()):
        are = "is" if gray == 1 else "are"
        notes += (f"{gray:,} of {total:,} pictures {are} gray and the others are in color: the input has 3 channels",)
    return SuggestedInput(size, 1 if set(plain) == {1} else 3, wide, notes)


def aspect_of(found: Header | None) -> float:
    """Return width / height of the upright picture with this header; 0 without a header, or with an empty one."""
    if found is None or not found.height or not found.width:
        return 0.0
    height, width = found.upright
    return width / height


def header_or_none(picture: Path | bytes | NDArray[Any]) -> Header | None:
    """Return the header of a picture, or None if it cannot be read."""
    try:
        return header(picture)
    except ImageError:
        return None

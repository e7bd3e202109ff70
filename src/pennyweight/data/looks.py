"""What pictures look like, from the headers of some of them: the input that suits them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pennyweight.core.errors import ImageError
from pennyweight.core.images import Header, header
from pennyweight.data.source import Sample

__all__ = ["Looks", "holding_more", "looks", "suited"]

PHOTO_SIZE = 224
SMALL_SIZE = 64
LOOKED_AT = 200


class Looks(NamedTuple):
    """`size`: the input's side in pixels; `channels`: what most pictures need, 1 where all of them are grey."""

    size: int
    channels: int


def looks(samples: Sequence[Sample]) -> Looks:
    """Look at the headers of up to 200 samples, spread evenly; those that cannot be read say nothing."""
    return suited([found for sample in _some(samples) if (found := _header(sample))])


def holding_more(samples: Sequence[Sample]) -> Sample | None:
    """The first of up to 200 whose file holds further pictures, which are not read."""
    return next((sample for sample in _some(samples) if (found := _header(sample)) and found.more), None)


def _some(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[:: max(1, len(samples) // LOOKED_AT)]


def suited(seen: Sequence[Header]) -> Looks:
    """What suits pictures with such headers: 224 for photographs, for small ones the typical short side, to a multiple
    of 32."""
    if not seen:
        return Looks(PHOTO_SIZE, 3)
    short = statistics.median(min(found.height, found.width) for found in seen)
    size = PHOTO_SIZE if short > SMALL_SIZE else max(32, round(short / 32) * 32)
    banded = Counter(found.bands for found in seen if found.banded)
    if banded.total() > len(seen) / 2:
        return Looks(size, banded.most_common(1)[0][0])
    # Transparency is laid on white unless four channels are asked for: it is rarely what a class is known by.
    return Looks(size, 1 if {found.bands for found in seen if not found.banded} == {1} else 3)


def _header(sample: Sample) -> Header | None:
    try:
        return header(sample.read(), name=sample.name)
    except ImageError:
        return None

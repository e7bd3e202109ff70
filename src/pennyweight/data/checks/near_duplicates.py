"""Pictures that look alike: 64 bits of each, compared, then its small grey picture.

The difference hash of Krawetz 2013 ("Kind of Like That"): on a 9×8 grey thumbnail, whether each pixel is brighter than
the one to its right. Two pictures with at most 8 different bits are compared by their thumbnails of 16×16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from pennyweight.core.images import Pixels, decode_bands
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.source import Sample

__all__ = ["Look", "look", "near_pairs"]

BITS = 8
"""Different bits up to which two pictures are compared closer. Split in 9 bands, one band at least is then equal."""
HASH_BITS = 64
BANDS = 9
DIFFERENCE = 10.0
"""Mean difference of the thumbnails, of 255, up to which they are alike."""
SIDE = 16
CROWD = 200
"""More pictures than this with one band in common are compared with their neighbours in the order of their bits."""
LEAST_CONTRAST = 4.0
"""Deviation of a thumbnail below which it has nothing to be known by."""


class Look(NamedTuple):
    """`bits`: the difference hash; `small`: (16, 16) grey."""

    bits: int
    small: Pixels


def look(sample: Sample, channels: int, levels: Levels = (), max_pixels: int | None = None) -> tuple[Look | None, int]:
    """Return how a picture looks, None where there is nothing to tell it by, and its range of levels, 1 to 256.

    Reads all of it: raises ImageError. It is decoded as for training on `channels`, 16 bits by `levels`, so that what
    training cannot read is found here too. Of many bands the middle one is looked at; the range is the widest of all.
    """
    bands = decode_bands(
        sample.read(),
        channels=channels,
        least=4 * SIDE,
        name=sample.where,
        levels=levels,
        max_pixels=max_pixels,
    )
    values = [np.asarray(band) for image in bands for band in image.split()]
    levels_used = max(int(band.max()) - int(band.min()) + 1 for band in values)
    image = bands[len(bands) // 2].convert("L")
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    if small.std() < LEAST_CONTRAST:
        return None, levels_used
    edge = np.asarray(image.resize((9, 8), Image.Resampling.BOX)).astype(np.int16)
    bits = np.packbits(edge[:, :-1] > edge[:, 1:])
    return Look(int.from_bytes(bits.tobytes(), "big"), small), levels_used


def near_pairs(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Pairs of numbers of pictures that look alike, each once."""
    told: set[tuple[int, int]] = set()
    starts = [HASH_BITS * band // BANDS for band in range(BANDS + 1)]
    for start, end in pairwise(starts):
        buckets: dict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(looks):
            buckets[(one.bits >> start) & ((1 << (end - start)) - 1)].append(number)
        for bucket in buckets.values():
            yield from _pairs(looks, bucket, start, told)


def _pairs(
    looks: Sequence[Look], bucket: list[int], start: int, told: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    if len(bucket) > CROWD:
        # From another bit on in every band, so that no few bits keep two apart in all of them.
        ordered = sorted(bucket, key=lambda number: _turned(looks[number].bits, start))
        candidates = [pair for start in range(len(ordered)) for pair in combinations(ordered[start : start + 8], 2)]
    else:
        candidates = list(combinations(bucket, 2))
    for a, b in candidates:
        pair = (min(a, b), max(a, b))
        if pair in told or (looks[a].bits ^ looks[b].bits).bit_count() > BITS:
            continue
        told.add(pair)
        if np.abs(looks[a].small.astype(np.int16) - looks[b].small).mean() <= DIFFERENCE:
            yield pair


def _turned(bits: int, start: int) -> int:
    """The bits below `start` first, then those from the top down to it."""
    return (bits << (HASH_BITS - start)) & ((1 << HASH_BITS) - 1) | bits >> start

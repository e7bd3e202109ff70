"""Find near duplicates: compare perceptual hashes of 64 bits, then gray thumbnails.

The difference hash of Krawetz 2013 ("Kind of Like That") has a bit for each pixel of a 9×8 gray thumbnail that is
brighter than its right neighbor. Pairs with at most 8 different bits are compared by their 16×16 thumbnails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from pennyweight.core.images import Pixels

__all__ = ["PerceptualHash", "hash_of", "near_pairs"]

BITS = 8
"""Most different bits of a pair that is compared by thumbnails. Of 9 bands, one at least is equal in such a pair."""
HASH_BITS = 64
BANDS = 9
DIFFERENCE = 10.0
"""Largest mean difference, of 255, between the thumbnails of near duplicates."""
SIDE = 16
CROWD = 200
"""Most pictures with an equal band that are compared pair by pair; more are compared with 7 neighbors in bit order."""
LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail below which a picture is too plain to compare."""


class PerceptualHash(NamedTuple):
    """Perceptual hash and thumbnail of a picture."""

    bits: int
    """Difference hash, 64 bits."""
    small: Pixels
    """(16, 16) gray."""


def hash_of(bands: Sequence[Image.Image]) -> PerceptualHash | None:
    """Return the hash and the thumbnail of a decoded picture, of many bands those of the middle one.

    None for a picture that is too plain to compare.
    """
    image = bands[len(bands) // 2].convert("L")
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    if small.std() < LEAST_CONTRAST:
        return None
    edge = np.asarray(image.resize((9, 8), Image.Resampling.BOX)).astype(np.int16)
    bits = np.packbits(edge[:, :-1] > edge[:, 1:])
    return PerceptualHash(int.from_bytes(bits.tobytes(), "big"), small)


def near_pairs(hashes: Sequence[PerceptualHash]) -> Iterator[tuple[int, int]]:
    """Yield the index pairs of pictures that look alike, each pair once."""
    compared: set[tuple[int, int]] = set()
    starts = [HASH_BITS * band // BANDS for band in range(BANDS + 1)]
    for start, end in pairwise(starts):
        buckets: dict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(hashes):
            buckets[(one.bits >> start) & ((1 << (end - start)) - 1)].append(number)
        for bucket in buckets.values():
            yield from _pairs(hashes, bucket, start, compared)


def _pairs(
    hashes: Sequence[PerceptualHash], bucket: list[int], start: int, compared: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    if len(bucket) > CROWD:
        # Each band sorts from its own bit on, so that the same few different bits do not part a pair in all of them.
        ordered = sorted(bucket, key=lambda number: _rotate(hashes[number].bits, start))
        candidates = [pair for start in range(len(ordered)) for pair in combinations(ordered[start : start + 8], 2)]
    else:
        candidates = list(combinations(bucket, 2))
    for a, b in candidates:
        pair = (min(a, b), max(a, b))
        if pair in compared or (hashes[a].bits ^ hashes[b].bits).bit_count() > BITS:
            continue
        compared.add(pair)
        if np.abs(hashes[a].small.astype(np.int16) - hashes[b].small).mean() <= DIFFERENCE:
            yield pair


def _rotate(bits: int, start: int) -> int:
    """Rotate 64 bits so that the bits below `start` come first."""
    return (bits << (HASH_BITS - start)) & ((1 << HASH_BITS) - 1) | bits >> start

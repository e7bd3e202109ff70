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

from pennyweight.core.images import Pixels, decode_bands
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.source import Sample

__all__ = ["PerceptualHash", "near_pairs", "perceptual_hash"]

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


def perceptual_hash(
    sample: Sample, channels: int, levels: Levels = (), max_pixels: int | None = None
) -> tuple[PerceptualHash | None, int]:
    """Decode a picture; return its hash and thumbnail (None for a plain picture) and its range of levels, 1 to 256.

    The picture is decoded as for training on `channels`, 16 bits by `levels`, so a picture that training cannot read
    raises ImageError here. Of many bands, the middle one is hashed, and the range is the widest of all.
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
    return PerceptualHash(int.from_bytes(bits.tobytes(), "big"), small), levels_used


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

"""Find clusters of flat pictures that chain: an alignment joins each to the next, and the ends show different things.

A small disc is aligned to a larger disc, and so on to the largest. Frames of a recording of a flat thing are twins of
each other. Frames of a long pan chain too, but photographs have more shapes than discs, and each pair of neighbors is
evidence enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.clusters import Flags, Pairs, components
from pennyweight.data.twins.compare import score
from pennyweight.data.twins.normalize import STEPS, count_shapes
from pennyweight.data.twins.side import Side, least_score
from pennyweight.data.twins.views import VIEWS, describe

__all__ = ["chained_clusters"]

WEAK = 0.7
"""Normalized value that is cut off before shapes are counted, because noise has no shapes: that of three gray levels
has a deviation of 0.45."""
FLAT = 65.0
"""Median number of independent shapes below which a cluster is tested: discs have 35, stars 50, photographs 150."""
FEW = 12
"""Pictures that a cluster may have without a test: no split depends on so few."""
TRIED = 1024
"""Pairs of a cluster that are compared, if it has more."""
LEAST_SHARE = 0.75
"""Least share of these that are twins: it is above 0.85 for recordings of flat things, and below 0.6 for chains."""


def chained_clusters(first: Side, second: Side, pairs: Pairs) -> Flags:
    """Return the pictures in clusters of flat pictures of which too few pairs are twins.

    Args:
        first: Thumbnails of N pictures.
        second: Thumbnails of M pictures, or `first` itself.
        pairs: (P, 2) twins; the numbers of the second set, if it is another, come after those of the first.

    Returns:
        Mask, (N,) for one set and (N + M,) for two.
    """
    count, start = len(first.shapes), 0 if first is second else len(first.shapes)
    chained = np.zeros(start + len(second.shapes), np.bool_)
    for members in map(np.array, components(pairs)):
        one, other = members[members < count], members[members >= start] - start
        if len(members) <= FEW:
            continue
        fine = first.fine[one] if first is second else np.concatenate([first.fine[one], second.fine[other]])
        if _is_flat(fine):
            chained[members] = _twin_share(first, second, one, other) < LEAST_SHARE
    return chained


def _is_flat(fine: NDArray[np.int8]) -> bool:
    """Return True for pictures (N, SIDE, SIDE) with few shapes, whatever their noise."""
    values = fine / np.float32(STEPS)
    clear = np.sign(values) * np.maximum(np.abs(values) - np.float32(WEAK), 0)
    return float(np.median(count_shapes(clear))) < FLAT


def _twin_share(first: Side, second: Side, one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Return the share of twins among the pairs of `one` part of the first set and the `other` of the second."""
    chosen = np.arange(len(one) * len(other))
    if len(chosen) > TRIED:
        chosen = np.random.default_rng(0).integers(len(chosen), size=TRIED)
    rows, columns = np.divmod(chosen, len(other))
    pairs = np.stack([one[rows], other[columns]], axis=1)
    if first is second:
        pairs = pairs[rows != columns]
    middle = describe(first.coarse, pairs[:, 0], VIEWS[:1])[:, 0].astype(np.float32)
    shown = describe(second.coarse, pairs[:, 1], VIEWS).astype(np.float32)
    views = (shown @ middle[:, :, None])[:, :, 0].argmax(axis=1)
    least = least_score(first, second, pairs)
    return float((score(first, second, pairs, views, least, least) >= least).mean())

"""Find pictures that look like a good part of their set, such as digits on white or frames of a fixed camera.

In a large set they would be compared with very many pictures. A few comparisons of each tell the two kinds apart. The
frames of a recording are twins of nearly all frames that they resemble, and these few pairs join them. Digits resemble
many digits, of which few are twins: they are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pennyweight.data.twins.candidates import MOST, candidates
from pennyweight.data.twins.clusters import Flags, Pairs
from pennyweight.data.twins.compare import score
from pennyweight.data.twins.normalize import Values
from pennyweight.data.twins.side import Side, least_score
from pennyweight.data.twins.views import VIEWS, describe

__all__ = ["BETWEEN", "Crowds", "find_crowds"]

BETWEEN = 0.5
"""Score from which on pairs look alike, twins or not."""
SAMPLE = 1024
"""Pictures of the set that every picture is compared with."""
CROWD = SAMPLE // 32
"""Candidates among these that make a crowd; in a small set at least MOST of the whole set."""
TRIED = 8
"""Candidates of a picture in a crowd that are compared."""
ALIKE_SHARE = 0.25
"""Share of these that look alike, above which the picture is in a crowd."""
STILL = 0.75
"""Least share of the pictures alike that are twins of a frame of a recording."""


class Crowds(NamedTuple):
    """Pictures of the first set, of N, that look like 3% and MOST pictures of the second set."""

    unsure: Flags
    """(N,): pictures of which a few comparisons cannot tell twins."""
    still: Flags
    """(N,): frames of recordings that need no further comparison: `pairs` join them."""
    pairs: Pairs
    scores: Values
    """(P,): scores of the pairs, which are twins."""


def find_crowds(first: Side, second: Side) -> Crowds:
    """Find the crowds; each picture is compared with a sample of the second set. Some frames of each recording stay."""
    unsure, still = np.zeros(len(first.shapes), np.bool_), np.zeros(len(first.shapes), np.bool_)
    every = len(second.compared)
    if every <= MOST:
        return Crowds(unsure, still, np.empty((0, 2), np.int64), np.empty(0, np.float32))
    some = second.compared[np.unique(np.linspace(0, every - 1, SAMPLE).astype(np.int64))]
    middle = describe(first.coarse, first.compared, VIEWS[:1])[:, 0]
    found = candidates(middle, describe(second.coarse, some, VIEWS), same=False)
    counts = np.bincount(found.pairs[:, 0], minlength=len(middle))
    crowd = np.flatnonzero(counts >= max(CROWD, MOST * len(some) / every))
    starts = np.searchsorted(found.pairs[:, 0], crowd)
    tried = (starts[:, None] + np.arange(TRIED) * counts[crowd][:, None] // TRIED).ravel()
    pairs = np.stack([first.compared[found.pairs[tried, 0]], some[found.pairs[tried, 1]]], axis=-1)
    least = least_score(first, second, pairs)
    scores = score(first, second, pairs, found.views[tried], np.full(len(tried), BETWEEN), least)
    twin = (scores >= least).reshape(-1, TRIED)
    alike = (scores >= BETWEEN).reshape(-1, TRIED)
    crowded, recorded = alike.mean(axis=1) > ALIKE_SHARE, twin.sum(axis=1) >= STILL * alike.sum(axis=1)
    unsure[first.compared[crowd[crowded & ~recorded]]] = True
    still[first.compared[crowd[crowded & recorded]]] = True
    joined = (twin & (crowded & recorded)[:, None]).ravel()
    if first is second:
        still[some] = False
        joined &= pairs[:, 0] != pairs[:, 1]
        pairs.sort(axis=1)
    pairs, places = np.unique(pairs[joined], axis=0, return_index=True)
    return Crowds(unsure, still, pairs, scores[joined][places])

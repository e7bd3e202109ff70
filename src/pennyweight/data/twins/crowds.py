"""Find pictures that look like a good part of their set, such as digits on white or frames of a fixed camera.

In a large set they would be compared with very many pictures, only to be left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.candidates import MOST, VIEWS, candidates, describe
from pennyweight.data.twins.clusters import Flags
from pennyweight.data.twins.compare import halve, score
from pennyweight.data.twins.normalize import Floats, count_shapes

__all__ = ["BETWEEN", "LEAST_SHAPES", "Side", "find_crowds"]

LEAST_SHAPES = 12.0
"""Independent shapes of a picture that is compared; with fewer, different pictures can be aligned to equality."""
BETWEEN = 0.5
"""Pairs with scores from here on look alike; those that are no twins may be anything."""
SAMPLE = 1024
"""Pictures of the set that every picture is compared with."""
CROWD = SAMPLE // 32
"""Candidates among these that make a crowd; in a small set at least MOST of the whole set."""
TRIED = 8
"""Candidates of a picture in a crowd that are compared."""
ALIKE_SHARE = 0.25
"""Share of these that look alike from which the picture is left out."""


class Side(NamedTuple):
    """Thumbnails of a set, and the pictures among them that are compared."""

    gray: NDArray[np.uint8]
    halves: NDArray[np.float32]
    """(N, SIDE/2, SIDE/2): the thumbnails from which alignments start."""
    shapes: Floats
    """(N,) independent shapes."""
    compared: NDArray[np.int64]
    """Numbers of the pictures with LEAST_SHAPES that are in no crowd."""

    @classmethod
    def of(cls, gray: NDArray[np.uint8]) -> Side:
        """Return the thumbnails with their shapes."""
        shapes = count_shapes(gray)
        return cls(gray, halve(gray), shapes, np.flatnonzero(shapes >= LEAST_SHAPES))

    def without(self, left_out: Flags) -> Side:
        """Return the thumbnails without some that are not compared."""
        return self._replace(compared=self.compared[~left_out[self.compared]])


def find_crowds(first: Side, second: Side) -> Flags:
    """Return the pictures of the first set that look like more than 3% and MOST pictures of the second set, (N,)."""
    crowds = np.zeros(len(first.gray), np.bool_)
    every = len(second.compared)
    if every <= MOST:
        return crowds
    some = second.compared[np.unique(np.linspace(0, every - 1, SAMPLE).astype(np.int64))]
    middle = describe(first.gray[first.compared], VIEWS[:1])[0]
    found = candidates(middle, describe(second.gray[some], VIEWS), same=False)
    crowd = np.flatnonzero(found.counts > max(CROWD, MOST * len(some) / every))
    starts = np.searchsorted(found.pairs[:, 0], crowd)
    kept = np.searchsorted(found.pairs[:, 0], crowd, side="right") - starts
    tried = starts[:, None] + np.arange(TRIED) * kept[:, None] // TRIED
    pairs = np.stack([first.compared[found.pairs[tried, 0]], some[found.pairs[tried, 1]]], axis=-1)
    scores = score(first, second, pairs.reshape(-1, 2), found.views[tried].ravel())
    alike = (scores.reshape(-1, TRIED) >= BETWEEN).mean(axis=1) > ALIKE_SHARE
    crowds[first.compared[crowd[alike]]] = True
    return crowds

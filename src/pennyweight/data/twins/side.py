"""Thumbnails of a set, normalized for comparison."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.clusters import Flags, Pairs
from pennyweight.data.twins.normalize import CHUNK, COARSE, FINE, Floats, count_shapes, normalize, to_bytes

__all__ = ["LEAST_SHAPES", "TWIN", "Side", "least_score"]

LEAST_SHAPES = 12.0
"""Independent shapes of a picture that is compared; with fewer, different pictures can be aligned to equality."""
TWIN = 0.65
"""Least score of twins. See the decision about twins for its recall and its false pairs."""
SURE = 7.0
"""Least significance of twins: Fisher's transform of the score, in standard deviations of unrelated pictures with so
many independent shapes. Pictures with few shapes must resemble each other more."""
FITTED = 6
"""Parameters of the alignment, which fit as many shapes."""


class Side(NamedTuple):
    """Normalized thumbnails of N pictures, and the pictures among them that are compared."""

    coarse: NDArray[np.int8]
    """(N, SIDE, SIDE): large shapes, by which pictures are found and aligned."""
    fine: NDArray[np.int8]
    """(N, SIDE, SIDE): small shapes, which are compared after that."""
    shapes: Floats
    """(N,) independent shapes."""
    compared: NDArray[np.int64]
    """Numbers of the pictures with LEAST_SHAPES that are in no crowd."""

    @classmethod
    def of(cls, gray: NDArray[np.uint8]) -> Side:
        """Return thumbnails (N, SIDE, SIDE) with their shapes."""
        coarse, fine = np.empty(gray.shape, np.int8), np.empty(gray.shape, np.int8)
        shapes = np.empty(len(gray))
        for start in range(0, len(gray), CHUNK):
            part = slice(start, start + CHUNK)
            coarse[part] = to_bytes(normalize(gray[part], COARSE))
            small = normalize(gray[part], FINE)
            fine[part], shapes[part] = to_bytes(small), count_shapes(small)
        return cls(coarse, fine, shapes, np.flatnonzero(shapes >= LEAST_SHAPES))

    def without(self, left_out: Flags) -> Side:
        """Return the thumbnails without some that are not compared."""
        return self._replace(compared=self.compared[~left_out[self.compared]])


def least_score(first: Side, second: Side, pairs: Pairs) -> Floats:
    """Return the scores (P,) that pairs of a first and of a second picture need to be twins."""
    shapes = np.minimum(first.shapes[pairs[:, 0]], second.shapes[pairs[:, 1]])
    least: Floats = np.maximum(TWIN, np.tanh(SURE / np.sqrt(shapes - FITTED)))
    return least

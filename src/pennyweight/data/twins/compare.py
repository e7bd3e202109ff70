"""Compare the candidates: align each pair by its large shapes, then correlate its small ones.

Pictures of different things can be aligned by their large shapes, and then differ in the small ones. The alignment
begins at half the resolution, from the view in which the pair was found; few pairs go on to the full one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.alignment import Motions, Values, align, correlate, sample
from pennyweight.data.twins.candidates import MARGIN, VIEWS
from pennyweight.data.twins.normalize import COARSE, FINE, Scale, normalize
from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["score"]

HALF_STEPS, STEPS = 6, 3
HALF_ALIKE = 0.6
"""Least correlation at half the resolution of a pair that goes on."""
MOST_CHANGE = 0.3
"""Largest difference of the motion's matrix from the identity: 30% in size, 15% of the width."""
LEAST_OVERLAP = 0.6
NOTHING = -1.0
"""Score of a pair that cannot be aligned."""
CHUNK = 256


def score(
    gray: NDArray[np.uint8], second: NDArray[np.uint8], pairs: NDArray[np.int64], views: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the correlation of pairs of thumbnails after alignment, (P,) from -1 to 1.

    Args:
        gray: (N, SIDE, SIDE) thumbnails of the first pictures.
        second: (M, SIDE, SIDE) thumbnails of the second pictures.
        pairs: (P, 2) numbers of a first and of a second picture.
        views: (P,) views of the second picture in which the pairs were found.
    """

    def make(start: int) -> Callable[[], NDArray[np.float32]]:
        part = slice(start, start + CHUNK)
        return partial(_score, gray[pairs[part, 0]], second[pairs[part, 1]], views[part])

    makes = (make(start) for start in range(0, len(pairs), CHUNK))
    scores = [part for part, _ in prefetch(makes, 2 * cores(), threads=cores())]
    return np.concatenate(scores or [np.empty(0, np.float32)])


def _score(first: NDArray[np.uint8], second: NDArray[np.uint8], views: NDArray[np.int64]) -> NDArray[np.float32]:
    second = np.where(_MIRRORED[views, None, None], second[:, :, ::-1], second)
    scores = np.full(len(first), NOTHING, np.float32)
    coarse, coarse_second = _normalize(first, COARSE), _normalize(second, COARSE)
    half, half_second = _halve(coarse), _halve(coarse_second)
    motion = align(half, half_second, _STARTS[views], HALF_STEPS)
    kept = np.flatnonzero(_correlation(half, half_second, motion) >= HALF_ALIKE)
    motion = align(coarse[kept], coarse_second[kept], motion[kept], STEPS)
    scores[kept] = _correlation(_normalize(first[kept], FINE), _normalize(second[kept], FINE), motion).round(4)
    return scores


def _normalize(gray: NDArray[np.uint8], scale: Scale) -> Values:
    return normalize(gray, scale).astype(np.float32)


def _correlation(first: Values, second: Values, motion: Motions) -> Values:
    """Return the correlation of aligned pictures, (P,); NOTHING for a motion beyond that of twins."""
    seen, inside = sample(second, motion)
    change = np.abs(motion - np.eye(2, 3, dtype=np.float32)).max(axis=(1, 2), initial=0)
    likely = (change <= MOST_CHANGE) & (inside.mean(axis=1) >= LEAST_OVERLAP)
    return np.where(likely, correlate(first.reshape(seen.shape), seen, inside), np.float32(NOTHING))


def _halve(values: Values) -> Values:
    halves: Values = values.reshape(len(values), SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    return halves


def _start(down: float, right: float, inward: float) -> Motions:
    zoom = 1 - inward / (SIDE / 2 - MARGIN)
    return np.array([[zoom, 0, 2 * down / SIDE], [0, zoom, 2 * right / SIDE]], np.float32)


_MIRRORED = np.array([view.mirrored for view in VIEWS])
_STARTS = np.stack([_start(view.down, view.right, view.inward) for view in VIEWS])
"""Motion of each view, from which the alignment starts."""

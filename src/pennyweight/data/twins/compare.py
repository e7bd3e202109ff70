"""Compare the candidates: align each pair by its large shapes, then correlate its small ones.

Pictures of different things can be aligned by their large shapes, and then differ in the small ones. The alignment
begins at half the resolution, from the view in which the pair was found; few pairs go on to the full one.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.alignment import Motions, Values, align, correlate, sample
from pennyweight.data.twins.candidates import MARGIN, VIEWS
from pennyweight.data.twins.normalize import COARSE, FINE, Scale, normalize
from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["halve", "score"]

HALF_STEPS, STEPS = 4, 4
HALF_ALIKE = 0.6
"""Least correlation at half the resolution of a pair that goes on."""
MOST_CHANGE = 0.3
"""Largest difference of the motion's matrix from the identity: 30% in size, 15% of the width."""
LEAST_OVERLAP = 0.6
NOTHING = -1.0
"""Score of a pair that cannot be aligned."""
CHUNK = 256

T = TypeVar("T", np.uint8, np.float32)


class Pictures(Protocol):
    """Thumbnails of a set."""

    @property
    def gray(self) -> NDArray[np.uint8]:
        """(N, SIDE, SIDE)."""

    @property
    def halves(self) -> Values:
        """Result of `halve`."""


def halve(gray: NDArray[np.uint8]) -> Values:
    """Return thumbnails (N, SIDE, SIDE), coarsely normalized, at half their resolution: (N, SIDE/2, SIDE/2)."""
    made = np.empty((len(gray), SIDE // 2, SIDE // 2), np.float32)
    for start in range(0, len(gray), CHUNK):
        part = slice(start, start + CHUNK)
        values = normalize(gray[part], COARSE)
        made[part] = values.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    return made


def score(first: Pictures, second: Pictures, pairs: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the correlation of pairs of pictures after alignment, (P,) from -1 to 1.

    Args:
        first: Thumbnails of N pictures.
        second: Thumbnails of M pictures.
        pairs: (P, 2) numbers of a first and of a second picture.
        views: (P,) views of the second picture in which the pairs were found.
    """
    makes = (
        partial(_score, first, second, pairs[start : start + CHUNK], views[start : start + CHUNK])
        for start in range(0, len(pairs), CHUNK)
    )
    scores = [part for part, _ in prefetch(makes, 2 * cores(), threads=cores())]
    return np.concatenate(scores or [np.empty(0, np.float32)])


def _score(
    first: Pictures, second: Pictures, pairs: NDArray[np.int64], views: NDArray[np.int64]
) -> NDArray[np.float32]:
    scores = np.full(len(pairs), NOTHING, np.float32)
    half, half_second = first.halves[pairs[:, 0]], _mirrored(second.halves[pairs[:, 1]], views)
    motion = align(half, half_second, _STARTS[views], HALF_STEPS)
    kept = np.flatnonzero(_correlation(half, half_second, motion) >= HALF_ALIKE)
    gray, gray_second = first.gray[pairs[kept, 0]], _mirrored(second.gray[pairs[kept, 1]], views[kept])
    motion = align(_normalize(gray, COARSE), _normalize(gray_second, COARSE), motion[kept], STEPS)
    scores[kept] = _correlation(_normalize(gray, FINE), _normalize(gray_second, FINE), motion).round(4)
    return scores


def _mirrored(pictures: NDArray[T], views: NDArray[np.int64]) -> NDArray[T]:
    return np.where(_MIRRORED[views, None, None], pictures[:, :, ::-1], pictures)


def _normalize(gray: NDArray[np.uint8], scale: Scale) -> Values:
    return normalize(gray, scale).astype(np.float32)


def _correlation(first: Values, second: Values, motion: Motions) -> Values:
    """Return the correlation of aligned pictures, (P,); NOTHING for a motion beyond that of twins."""
    seen, inside = sample(second, motion)
    change = np.abs(motion - np.eye(2, 3, dtype=np.float32)).max(axis=(1, 2), initial=0)
    likely = (change <= MOST_CHANGE) & (inside.mean(axis=1) >= LEAST_OVERLAP)
    return np.where(likely, correlate(first.reshape(seen.shape), seen, inside), np.float32(NOTHING))


def _start(down: float, right: float, inward: float) -> Motions:
    zoom = 1 - inward / (SIDE / 2 - MARGIN)
    return np.array([[zoom, 0, 2 * down / SIDE], [0, zoom, 2 * right / SIDE]], np.float32)


_MIRRORED = np.array([view.mirrored for view in VIEWS])
_STARTS = np.stack([_start(view.down, view.right, view.inward) for view in VIEWS])
"""Motion of each view, from which the alignment starts."""

"""Compare the candidates: align each pair by its large shapes, then correlate its small ones.

Pictures of different things can be aligned by their large shapes, and then differ in the small ones. The alignment
begins at half the resolution, from the view in which the pair was found. A pair goes on while its correlation is near
the score that it needs.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.alignment import Motions, Values, align, correlate, sample
from pennyweight.data.twins.normalize import STEPS, Floats
from pennyweight.data.twins.thumbnails import SIDE
from pennyweight.data.twins.views import MARGIN, VIEWS

__all__ = ["NOTHING", "score"]


class Stage(NamedTuple):
    """Part of the comparison, after which few pairs go on."""

    pixels: int
    """Pixels of the thumbnail to a side of one that is aligned."""
    steps: int
    """Steps of the alignment."""
    fine: bool
    """True to compare small shapes afterwards, False for large ones."""
    slack: float
    """Largest distance of the correlation of a pair below the score that it needs."""
    least: float
    """Correlation below which every pair ends here, however low a score it needs."""


STAGES = (Stage(2, 1, False, 0.15, 0.5), Stage(2, 3, True, 0.3, 0.32), Stage(1, 4, True, 0.0, 0.0))
"""Of unrelated candidates, two in three end after the first stage, and nine in ten after the second."""
MOST_CHANGE = 0.3
"""Largest difference of the motion's matrix from the identity: 30% in size, 15% of the width."""
LEAST_OVERLAP = 0.6
NOTHING = -1.0
"""Score of a pair that cannot reach the one that it needs."""
CHUNK = 128

Numbers: TypeAlias = NDArray[np.int64]


class Pictures(Protocol):
    """Normalized thumbnails of a set."""

    @property
    def coarse(self) -> NDArray[np.int8]:
        """(N, SIDE, SIDE)."""

    @property
    def fine(self) -> NDArray[np.int8]:
        """(N, SIDE, SIDE)."""


def score(first: Pictures, second: Pictures, pairs: Numbers, views: Numbers, least: Floats) -> Values:
    """Return the correlation of pairs of pictures after alignment, (P,) from -1 to 1.

    Args:
        first: Thumbnails of N pictures.
        second: Thumbnails of M pictures.
        pairs: (P, 2) numbers of a first and of a second picture.
        views: (P,) views of the second picture in which the pairs were found.
        least: (P,) scores that the pairs need. A lower score may be NOTHING.
    """
    chunks = (slice(start, start + CHUNK) for start in range(0, len(pairs), CHUNK))
    makes = (partial(_score, first, second, pairs[part], views[part], least[part]) for part in chunks)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        scores = [part for part, _ in prefetch(makes, 2 * cores(), threads=cores())]
    return np.concatenate(scores or [np.empty(0, np.float32)])


def _score(first: Pictures, second: Pictures, pairs: Numbers, views: Numbers, least: Floats) -> Values:
    kept, motion = np.arange(len(pairs)), _STARTS[views]
    reached = np.empty(len(pairs), np.float32)
    for stage in STAGES:
        if not len(kept):
            break
        some, shown = pairs[kept], views[kept]
        large, other = (
            _shrink(each, stage.pixels) for each in (first.coarse[some[:, 0]], _seen(second.coarse, some, shown))
        )
        motion = align(large, other, motion, stage.steps)
        if stage.fine:
            large, other = _shrink(first.fine[some[:, 0]], 1), _shrink(_seen(second.fine, some, shown), 1)
        reached = _correlation(large, other, motion).round(4)
        near = reached >= np.maximum(least[kept] - stage.slack, stage.least)
        kept, motion, reached = kept[near], motion[near], reached[near]
    scores = np.full(len(pairs), NOTHING, np.float32)
    scores[kept] = reached
    return scores


def _seen(pictures: NDArray[np.int8], pairs: Numbers, views: Numbers) -> NDArray[np.int8]:
    """Return the second picture of each pair, mirrored in a mirrored view."""
    some = pictures[pairs[:, 1]]
    return np.where(_MIRRORED[views, None, None], some[:, :, ::-1], some)


def _shrink(pictures: NDArray[np.int8], pixels: int) -> Values:
    """Return values of pictures (P, S, S) as the means of squares of pixels, (P, S / pixels, S / pixels)."""
    values = pictures[:, ::pixels, ::pixels].astype(np.float32)
    for down, right in list(np.ndindex(pixels, pixels))[1:]:
        values += pictures[:, down::pixels, right::pixels]
    values /= np.float32(STEPS * pixels**2)
    return values


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

"""Compare the candidates: align each pair by its large shapes, then correlate its small ones.

Pictures of different things can be aligned by their large shapes, and then differ in the small ones. A linear fit in
the view in which the pair was found predicts the alignment, which begins at half the resolution. A pair stays a
candidate while its correlation is near the score that it needs.
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
from pennyweight.data.twins.linear import PIXELS, predict
from pennyweight.data.twins.normalize import STEPS, Floats
from pennyweight.data.twins.views import VIEWS

__all__ = ["NOTHING", "score"]


class Stage(NamedTuple):
    """Part of the comparison, after which few pairs remain."""

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


PREDICTED_SLACK, PREDICTED_LEAST = 0.08, 0.5
"""Like `Stage`, for the predicted correlation."""
STAGES = (
    Stage(2, 1, False, 0.05, 0.5),
    Stage(2, 1, False, 0.05, 0.5),
    Stage(1, 0, True, 0.2, 0.34),
    Stage(1, 1, True, 0.08, 0.4),
    Stage(1, 3, True, 0.0, 0.0),
)
"""The prediction rejects two thirds of the unrelated candidates, and the first stage nine in ten."""
MOST_CHANGE = 0.3
"""Largest difference of the motion's matrix from the identity: 30% in size, 15% of the width."""
LEAST_OVERLAP = 0.6
NOTHING = -1.0
"""Score of a pair that cannot reach the one that it needs."""
CHUNK = 512

Numbers: TypeAlias = NDArray[np.int64]


class Pictures(Protocol):
    """Normalized thumbnails of a set."""

    @property
    def coarse(self) -> NDArray[np.int8]:
        """(N, SIDE, SIDE)."""

    @property
    def fine(self) -> NDArray[np.int8]:
        """(N, SIDE, SIDE)."""


def score(
    first: Pictures, second: Pictures, pairs: Numbers, views: Numbers, least: Floats, enough: Floats | None = None
) -> Values:
    """Return the correlation of pairs of pictures after alignment, (P,) from -1 to 1.

    Args:
        first: Thumbnails of N pictures.
        second: Thumbnails of M pictures.
        pairs: (P, 2) numbers of a first and of a second picture.
        views: (P,) views of the second picture in which the pairs were found.
        least: (P,) scores that the pairs need. A lower score may be NOTHING.
        enough: (P,) scores of twins. A pair is not aligned further once its score is `least`, and surely or surely not
            `enough`; None aligns every pair to the end.
    """
    enough = np.full(len(pairs), np.nan) if enough is None else enough
    chunks = (slice(start, start + CHUNK) for start in range(0, len(pairs), CHUNK))
    makes = (partial(_score, first, second, pairs[part], views[part], least[part], enough[part]) for part in chunks)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        scores = [part for part, _ in prefetch(makes, 2 * cores(), threads=cores())]
    return np.concatenate(scores or [np.empty(0, np.float32)])


def _score(first: Pictures, second: Pictures, pairs: Numbers, views: Numbers, least: Floats, enough: Floats) -> Values:
    numbers, which = np.unique(pairs[:, 0], return_inverse=True)
    reached, motion = predict(
        _shrink(first.coarse[numbers], PIXELS), which, _shrink(second.coarse[pairs[:, 1]], PIXELS), views
    )
    kept = np.flatnonzero(reached >= np.maximum(least - PREDICTED_SLACK, PREDICTED_LEAST))
    motion = motion[kept]
    scores = np.full(len(pairs), NOTHING, np.float32)
    for stage in STAGES:
        if not len(kept):
            break
        numbers, which = np.unique(pairs[kept, 0], return_inverse=True)
        some, mirrored = pairs[kept, 1], _MIRRORED[views[kept]]
        large, other = _shrink(first.coarse[numbers], stage.pixels), _seen(second.coarse, some, mirrored, stage.pixels)
        motion = align(large, which, other, motion, stage.steps)
        if stage.fine:
            large, other = _shrink(first.fine[numbers], 1), _seen(second.fine, some, mirrored, 1)
        reached = _correlation(large[which], other, motion).round(4)
        is_sure = (reached >= enough[kept]) | (reached < enough[kept] - stage.slack)
        ends = stage.fine & is_sure | (stage is STAGES[-1])
        ends &= reached >= least[kept]
        scores[kept[ends]] = reached[ends]
        goes_on = ~ends & (reached >= np.maximum(least[kept] - stage.slack, stage.least))
        kept, motion = kept[goes_on], motion[goes_on]
    return scores


def _seen(pictures: NDArray[np.int8], numbers: Numbers, mirrored: NDArray[np.bool_], pixels: int) -> Values:
    """Return some pictures as `_shrink` does, those in a mirrored view mirrored."""
    some = pictures[numbers]
    some[mirrored] = some[mirrored, :, ::-1]
    return _shrink(some, pixels)


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


_MIRRORED = np.array([view.mirrored for view in VIEWS])

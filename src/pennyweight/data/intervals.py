"""Intervals of an accuracy on pictures of which some are twins: right or wrong together, they count as fewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.intervals import CONFIDENCE, wilson

__all__ = ["FOLDED", "effective_count", "exact", "interval", "predict_accuracy", "share_interval", "shift_interval"]

FOLDED = 1.25
"""Pictures that are scored in folds for each independent one that tells as much: the networks of the folds learned from
each other's pictures, and the network that is kept is another one. Decision 0085."""
GROWTH = 0.3
"""Power of the number of pictures with which errors fall, 19% with twice as many: docs/measured/few-pictures.md."""


def predict_accuracy(accuracy: float, folds: int) -> float:
    """Return the accuracy of a network that learned from all pictures, from that of networks without one of `folds`."""
    return 1 - (1 - accuracy) * float((1 - 1 / folds) ** GROWTH)


def shift_interval(
    found: tuple[float, float], accuracy: float, folds: int, majority: float
) -> tuple[tuple[float, float], float | None]:
    """Return the interval of the network that learned from all pictures, and its predicted accuracy.

    Networks that are not surely better than the most common class have learned nothing that more pictures would
    improve: their interval stays, and nothing is predicted.

    Args:
        found: Interval of the score in folds.
        accuracy: The score in folds.
        folds: Number of folds.
        majority: Share of the most common class.
    """
    low, high = found
    if low <= majority:
        return found, None
    return (min(predict_accuracy(low, folds), accuracy), predict_accuracy(high, folds)), predict_accuracy(
        accuracy, folds
    )


def share_interval(
    correct: NDArray[np.bool_], moments: NDArray[np.int64] | None, *, folded: bool = False
) -> tuple[float, float]:
    """Return the 95% interval of the share that is correct, (N,) of `moments` (N,); see Evaluation.

    `folded` is for pictures that were scored in folds, which count as fewer.
    """
    effective = None if moments is None else effective_count(moments)
    return interval(int(correct.sum()), len(correct), effective, folded=folded)


def interval(
    correct: int,
    count: int,
    effective: float | None = None,
    confidence: float = CONFIDENCE,
    *,
    folded: bool = False,
) -> tuple[float, float]:
    """Return the interval of `correct` of `count` pictures, as (low, high) shares: with twins the exact one.

    Args:
        correct: Number of pictures that are answered rightly.
        count: Number of pictures, at least 1.
        effective: Effective number of independent pictures, at most `count`; None if no picture has a twin.
        confidence: Coverage of the two-sided interval.
        folded: True for pictures that networks of several folds answered.
    """
    alone = effective is None or effective == count
    if alone and not folded:
        return wilson(correct, count, confidence)
    trials = float(count if effective is None else effective)
    trials = max(trials / FOLDED, 1.0) if folded else trials
    return (wilson if alone else exact)(correct * trials / count, trials, confidence)


def effective_count(moments: NDArray[np.int64]) -> float:
    """Return the number of independent pictures that tell as much as pictures of `moments` (N,), of which some repeat.

    It is N² / Σm² for moments of m pictures each, which are taken to be all right or all wrong: a moment of half of the
    pictures weighs half of the score. Kish 1965, "Survey Sampling", section 8.2.
    """
    sizes = np.unique(moments, return_counts=True)[1]
    return float(len(moments) ** 2 / np.square(sizes, dtype=np.float64).sum())


def exact(correct: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact interval of `correct` of `count`, as (low, high) shares.

    Its coverage is never below `confidence`; of five trials, Wilson's interval covers 94%, of four 88%. Clopper and
    Pearson 1934, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial".

    Args:
        correct: Number of successes; a fraction where trials depend on each other, and count as fewer.
        count: Effective number of trials, at least 1.
        confidence: Coverage of the two-sided interval.
    """
    from scipy.special import betaincinv  # slow to import

    tail, wrong = (1 - confidence) / 2, count - correct
    low = float(betaincinv(correct, wrong + 1, tail)) if correct > 0 else 0.0
    high = float(betaincinv(correct + 1, wrong, 1 - tail)) if wrong > 0 else 1.0
    return low, high

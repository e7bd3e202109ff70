"""Confidence intervals of shares: the Wilson score interval."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONFIDENCE", "surely_below", "wilson"]

Number = TypeVar("Number", float, NDArray[np.float64])

CONFIDENCE = 0.95


def wilson(correct: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of `correct` of `count`, as (low, high) shares.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".

    Args:
        correct: Number of successes.
        count: Number of trials, at least 1; a fraction where they count as fewer.
        confidence: Coverage of the two-sided interval.
    """
    center, half = _center_and_half(float(correct), float(count), confidence)
    return (0.0 if correct == 0 else center - half), (1.0 if correct == count else center + half)


def surely_below(
    share: float | NDArray[np.float64], correct: NDArray[np.float64], count: NDArray[np.float64], confidence: float
) -> NDArray[np.bool_]:
    """Mask the intervals, as `wilson` gives them, that lie below `share` < 1. Arrays of one shape -> the same"""
    center, half = _center_and_half(correct, count, confidence)
    below: NDArray[np.bool_] = (correct < count) & (center + half < share)
    return below


def _center_and_half(correct: Number, count: Number, confidence: float) -> tuple[Number, Number]:
    """Return the middle and half the width of the interval."""
    from statistics import NormalDist  # loads decimal numbers and fractions, which few programs need

    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    half = (z2 * (correct * (count - correct) / count + z2 / 4)) ** 0.5 / (count + z2)
    return (correct + z2 / 2) / (count + z2), half

"""Confidence intervals of shares: the Wilson score interval."""

from __future__ import annotations

from math import sqrt

__all__ = ["CONFIDENCE", "wilson"]

CONFIDENCE = 0.95


def wilson(correct: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of `correct` of `count`, as (low, high) shares.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".

    Args:
        correct: Number of successes; a fraction where trials that depend on each other count as one.
        count: Number of trials, at least 1.
        confidence: Coverage of the two-sided interval.
    """
    from statistics import NormalDist  # loads decimal numbers and fractions, which few programs need

    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    center = (correct + z2 / 2) / (count + z2)
    half = sqrt(z2 * (correct * (count - correct) / count + z2 / 4)) / (count + z2)
    return (0.0 if correct == 0 else center - half), (1.0 if correct == count else center + half)

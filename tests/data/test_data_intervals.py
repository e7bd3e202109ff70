"""The exact interval is that of scipy, and misses a coin seldom enough."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from pennyweight.data.intervals import exact


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 40), (998, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_exact_interval_is_that_of_scipy(correct: int, count: int, confidence: float) -> None:
    expected = binomtest(correct, count).proportion_ci(confidence, method="exact")
    assert exact(correct, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("count", [2, 4, 5, 8, 13])
def test_the_exact_interval_misses_a_coin_in_5_percent_at_most(count: int) -> None:
    missed = [right for right in range(count + 1) if not exact(right, count)[0] <= 0.5 <= exact(right, count)[1]]
    assert sum(math.comb(count, right) for right in missed) <= 0.05 * 2**count

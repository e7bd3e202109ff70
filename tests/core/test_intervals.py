"""The Wilson interval is that of scipy, at its ends too."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from pennyweight.core.intervals import wilson


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 40), (998, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_interval_is_that_of_scipy(correct: int, count: int, confidence: float) -> None:
    expected = binomtest(correct, count).proportion_ci(confidence, method="wilson")
    assert wilson(correct, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)

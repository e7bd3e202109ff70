"""The Wilson interval is that of scipy, at its ends too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from pennyweight.core.intervals import surely_below, wilson


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 40), (998, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_interval_is_that_of_scipy(correct: int, count: int, confidence: float) -> None:
    expected = binomtest(correct, count).proportion_ci(confidence, method="wilson")
    assert wilson(correct, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_many_intervals_are_compared_at_once(share: float) -> None:
    correct, count = np.array([0.0, 1.5, 4, 9, 10, 29]), np.array([1.0, 3, 10, 10, 10, 40])
    highs = [wilson(*each, 0.99)[1] for each in zip(correct.tolist(), count.tolist(), strict=True)]
    assert surely_below(share, correct, count, 0.99).tolist() == [high < share for high in highs]

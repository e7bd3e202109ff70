"""Counts in windows, against counting."""

import numpy as np
import pytest

from pennyweight.core.boxes import count_in_windows


@pytest.mark.parametrize("window", [1, 3, 7, 25])
def test_counts_are_those_of_counting(window: int) -> None:
    marked = np.random.default_rng(0).random((9, 13)) < 0.3
    half = window // 2
    expected = [
        [marked[max(0, r - half) : r + half + 1, max(0, c - half) : c + half + 1].sum() for c in range(13)]
        for r in range(9)
    ]
    np.testing.assert_array_equal(count_in_windows(marked, window), expected)

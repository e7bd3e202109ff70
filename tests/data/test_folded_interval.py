"""Interval of a score in folds: it is for the network that learned from all pictures."""

from __future__ import annotations

import numpy as np
import pytest

from pennyweight.data.intervals import predict_accuracy, share_interval, shift_interval


@pytest.mark.parametrize(("folds", "predicted"), [(3, 0.557), (5, 0.532), (8, 0.520)])
def test_errors_fall_with_the_power_of_the_pictures(folds: int, predicted: float) -> None:
    assert predict_accuracy(0.5, folds) == pytest.approx(predicted, abs=5e-4)
    assert predict_accuracy(1.0, folds) == 1


def test_the_interval_moves_as_the_score_does_and_holds_both() -> None:
    (low, high), predicted = shift_interval((0.6, 0.8), 0.7, 5, 0.5)
    assert (low, high) == pytest.approx([predict_accuracy(0.6, 5), predict_accuracy(0.8, 5)])
    assert predicted == pytest.approx(predict_accuracy(0.7, 5))
    (low, high), _ = shift_interval((0.69, 0.71), 0.7, 3, 0.5)
    assert low == 0.7 < high


def test_a_network_that_may_have_learned_nothing_gains_nothing() -> None:
    assert shift_interval((0.4, 0.6), 0.5, 5, 0.45) == ((0.4, 0.6), None)


def test_fewer_pictures_count_in_folds() -> None:
    correct = np.arange(60) % 4 > 0
    (low, high), (lower, higher) = (share_interval(correct, None, folded=each) for each in (False, True))
    assert lower < low < high < higher

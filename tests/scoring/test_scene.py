"""Scores of a map, against the definitions."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

from pennyweight.scoring.baselines import Spectra, nearest_neighbor, rbf_svm
from pennyweight.scoring.leakage import Leakage
from pennyweight.scoring.scene import mean_and_deviation, score_pixels, score_scene

NONE = Leakage(
    window=3, test_windows=8, share=0, mean_training_pixels=0, share_own_class=0, mean_training_pixels_own_class=0
)


def test_scores_are_those_of_the_definitions() -> None:
    targets = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    answers = np.array([0, 0, 0, 0, 1, 1, 1, 0])
    found = score_scene(
        answers, targets, labels=("a", "b", "c", "d"), source="s", split="blocks", leakage=NONE, left_out=(3,), masked=2
    )
    assert found.overall_accuracy == 6 / 8
    assert found.average_accuracy == pytest.approx((0.8 + 1 + 0) / 3)  # d has no pixels
    chance = (5 * 5 + 2 * 3 + 1 * 0) / 64
    assert found.kappa == pytest.approx((6 / 8 - chance) / (1 - chance))
    assert found.confusion[0] == (4, 1, 0, 0)
    assert found.per_class[1].precision == pytest.approx(2 / 3)
    assert (found.left_out, found.masked) == (("d",), 2)


def test_one_class_always_found_agrees() -> None:
    ones = np.ones(5, np.int64)
    assert score_scene(ones, ones, labels=("a", "b"), source="s", split="random", leakage=NONE).kappa == 1


def test_mean_and_deviation_are_of_a_sample() -> None:
    rows = [dict.fromkeys(("overall_accuracy", "average_accuracy", "kappa"), value) for value in (0.8, 0.9)]
    assert mean_and_deviation(rows)["kappa"] == {"mean": pytest.approx(0.85), "deviation": pytest.approx(0.0707107)}
    assert mean_and_deviation(rows[:1])["kappa"]["deviation"] == 0


@pytest.mark.parametrize("classify", [nearest_neighbor, rbf_svm])
def test_baselines_tell_rings_apart_where_a_line_could_not(classify: object) -> None:
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 2, 240)
    angles = draw.uniform(0, 6.28, 240)
    radius = 1 + 2 * targets + draw.normal(0, 0.1, 240)
    values = (radius * np.array([np.cos(angles), np.sin(angles)])).T.astype(np.float32)
    train, val = (Spectra(values[part], targets[part]) for part in (np.s_[:100], np.s_[100:140]))
    assert (classify(train, val, values[140:]) == targets[140:]).mean() > 0.95  # type: ignore[operator]


def test_scores_have_the_bits_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    for classes, pixels in ((2, 40), (7, 300), (16, 900), (30, 100)):
        targets = draw.integers(0, classes, pixels)
        answers = np.where(draw.random(pixels) < 0.7, targets, draw.integers(0, classes, pixels))
        found = score_pixels(answers, targets, labels=[str(number) for number in range(classes)])
        assert found.kappa == cohen_kappa_score(targets, answers)
        assert found.average_accuracy == recall_score(
            targets, answers, average="macro", labels=np.unique(targets), zero_division=0.0
        )

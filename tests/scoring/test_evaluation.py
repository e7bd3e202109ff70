"""Figures against hand values, scikit-learn and published examples."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics

from pennyweight.core.intervals import wilson
from pennyweight.data.intervals import exact
from pennyweight.scoring import Evaluation, score, worst_mistakes

LABELS = ("ant", "bee", "cow")


def answers(classes: list[int], count: int = 3, sure: float = 0.9) -> np.ndarray:
    """Probabilities whose largest is `sure`, for each class in turn."""
    rest = (1 - sure) / (count - 1)
    return np.where(np.eye(count)[classes] == 1, sure, rest).astype(np.float32)


def scored(answered: list[int], truth: list[int], sure: float = 0.9) -> Evaluation:
    return score(answers(answered, sure=sure), np.array(truth), labels=LABELS, source="pets", split="test")


def test_figures_worked_out_by_hand() -> None:
    found = scored([0, 0, 1, 1, 2, 0], [0, 0, 1, 2, 2, 1])
    assert (found.source, found.split, found.images, found.labels) == ("pets", "test", 6, LABELS)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.majority_accuracy == pytest.approx(2 / 6)
    assert found.confusion == ((2, 0, 0), (1, 1, 0), (0, 1, 1))  # [truth][answer]
    assert found.loss == pytest.approx(-(4 * math.log(0.9) + 2 * math.log(0.05)) / 6, rel=1e-6)
    ant, bee, cow = found.per_class
    assert (ant.label, ant.precision, ant.recall, ant.images) == ("ant", pytest.approx(2 / 3), 1.0, 2)
    assert (bee.label, bee.precision, bee.recall, bee.images) == ("bee", 0.5, 0.5, 2)
    assert (cow.label, cow.precision, cow.recall, cow.images) == ("cow", 1.0, 0.5, 2)
    assert ant.f1 == pytest.approx(0.8)


def test_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 200).astype(np.float32)
    targets = random.integers(0, 3, 200)
    found = score(probabilities, targets, labels=LABELS, source="pets", split="val")
    answered = probabilities.argmax(1)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(targets, answered))
    assert found.loss == pytest.approx(metrics.log_loss(targets, probabilities), rel=1e-5)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(targets, answered))
    assert [row.f1 for row in found.per_class] == pytest.approx(metrics.f1_score(targets, answered, average=None))


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857, table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (8, 10, 0.4902, 0.9433),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_the_interval_is_wilsons_as_published(right: int, total: int, low: float, high: float) -> None:
    found = scored([0] * total, [0] * right + [1] * (total - right))
    assert found.accuracy_interval == pytest.approx((low, high), abs=6e-5)


def test_a_perfect_classifier() -> None:
    found = scored([0, 1, 2], [0, 1, 2], sure=1.0)
    assert found.accuracy == 1.0
    assert found.loss == 0.0
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert all((row.precision, row.recall, row.f1) == (1, 1, 1) for row in found.per_class)
    assert found.accuracy_interval[1] == 1.0


def test_a_classifier_that_is_always_wrong_and_sure() -> None:
    found = scored([1, 2, 0], [0, 1, 2], sure=1.0)
    assert found.accuracy == 0.0
    assert found.accuracy_interval[0] == 0.0
    assert math.isfinite(found.loss)
    assert found.loss > 80  # a probability of nothing, not of a millionth
    assert all((row.precision, row.recall, row.f1) == (0, 0, 0) for row in found.per_class)


def test_classes_without_pictures_or_answers_are_zero_and_stay_in_their_places() -> None:
    found = scored([0, 0, 1], [0, 0, 0])
    assert [row.images for row in found.per_class] == [3, 0, 0]
    assert found.per_class[1].recall == 0.0
    assert found.per_class[2].precision == 0.0
    assert found.confusion == ((2, 1, 0), (0, 0, 0), (0, 0, 0))
    assert found.majority_accuracy == 1.0


def test_one_picture_is_enough() -> None:
    found = scored([2], [2])
    assert found.images == 1
    low, high = found.accuracy_interval
    assert 0 < low < high == pytest.approx(1.0)


@pytest.mark.parametrize("truth", [[0, 1, 2, 2], [0, 0, 0, 0], [1, 1, 2, 0]])
def test_the_confusion_sums_to_the_pictures(truth: list[int]) -> None:
    found = scored([0, 0, 1, 2], truth)
    assert np.sum(found.confusion) == found.images == 4
    assert [sum(row) for row in found.confusion] == [row.images for row in found.per_class]
    assert found.accuracy == pytest.approx(np.trace(found.confusion) / 4)


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1], [0, 1, 2]])
def test_an_evaluation_is_kept_as_json(truth: list[int]) -> None:
    found = scored([0, 0, 0], truth, sure=1.0)
    kept = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert kept["accuracy"] == found.accuracy
    assert kept["accuracy_interval"] == list(found.accuracy_interval)
    assert kept["per_class"][0]["label"] == "ant"
    assert kept["confusion"] == [list(row) for row in found.confusion]


def test_the_surest_mistakes_come_first() -> None:
    probabilities = np.concatenate([answers([chosen], sure=sure) for chosen, sure in
                                    [(0, 0.99), (1, 0.6), (1, 0.95), (2, 0.7), (0, 0.95), (1, 0.999)]])  # fmt: skip
    targets = np.array([0, 0, 0, 0, 1, 2])
    assert worst_mistakes(probabilities, targets) == [5, 2, 4, 3, 1]
    assert worst_mistakes(probabilities, targets, most=2) == [5, 2]
    assert all(type(number) is int for number in worst_mistakes(probabilities, targets))


def test_without_mistakes_there_are_none_to_show() -> None:
    assert worst_mistakes(answers([0, 1, 2]), np.array([0, 1, 2])) == []


def test_equally_sure_mistakes_keep_their_order() -> None:
    probabilities = answers([number % 2 for number in range(500)])
    assert worst_mistakes(probabilities, np.full(500, 2), most=500) == list(range(500))


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([1] * 8, 8), ([4, 4], 2), ([8], 1), ([4, 1, 1, 1, 1], 3.2), ([100, *[1] * 100], 200**2 / 10_100)],
)
def test_a_large_moment_weighs_as_much_as_it_has_pictures(sizes: list[int], count: float) -> None:
    moments = np.repeat(np.arange(len(sizes)), sizes)
    found = score(answers([0] * len(moments)), moments * 0, labels=LABELS, source="s", split="test", moments=moments)
    assert found.effective_images == pytest.approx(count)
    assert found.moments == len(sizes)
    if len(moments) == len(sizes):
        assert found.accuracy_interval == wilson(count, len(moments))
    else:
        assert found.accuracy_interval == pytest.approx(exact(count, count))

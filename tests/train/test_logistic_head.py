"""Logistic regression in folds: no fold decides anything of the head that answers it, and one head learns from all."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.train.logistic_head import (
    STRENGTHS,
    Head,
    answer_in_folds,
    answer_left_out,
    count_heads,
    learn_in_folds,
)

Features = NDArray[np.float32]


def drawn(
    count: int = 45, classes: int = 3, *, features: int = 60, seed: int = 0, spread: float = 4.0
) -> tuple[Features, NDArray[np.int64], NDArray[np.int64]]:
    """Features of classes that overlap, their classes, and five folds."""
    draw = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    centers = draw.normal(size=(classes, features))
    values = centers[targets] + draw.normal(0, spread, (count, features)) + 7
    return values.astype(np.float32), targets, np.arange(count) // classes % 5


@pytest.mark.parametrize("fold", [0, 3])
def test_the_labels_of_a_fold_change_nothing_of_its_answers(fold: int) -> None:
    """Only the number of pictures of each class counts, which exchanged labels leave as it is."""
    values, targets, folds = drawn()
    own = folds == fold
    found = learn_in_folds(values, targets, folds, classes=3)
    other = learn_in_folds(values, np.where(own, (targets + 1) % 3, targets), folds, classes=3)
    assert np.array_equal(found.logits[own], other.logits[own])
    assert found.strengths[fold] == other.strengths[fold]
    assert not np.array_equal(found.logits[~own], other.logits[~own])
    assert not np.array_equal(found.head.weight, other.head.weight)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_scikit_learns_on_the_whole_features(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    values, targets, folds = drawn(classes=classes)
    found = learn_in_folds(values, targets, folds, classes=classes)
    lengths = np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    rows = values / lengths
    rows /= np.sqrt(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean())
    theirs = LogisticRegression(C=found.strength, max_iter=10_000, tol=1e-8).fit(rows, targets)
    ours = found.head.logits((values / lengths * lengths.mean()).astype(np.float32)).astype(np.float64)
    odds = np.exp(ours - ours.max(axis=1, keepdims=True))
    assert np.allclose(odds / odds.sum(axis=1, keepdims=True), theirs.predict_proba(rows), atol=0.01)


def test_pictures_that_are_left_out_are_answered_as_a_fold_is_by_a_head_of_the_same_strength() -> None:
    values, targets, folds = drawn()
    found = learn_in_folds(values, targets, folds, classes=3)
    for fold, strength in enumerate(found.strengths):
        own = folds == fold
        [logits] = answer_left_out(values, targets, [own], strength=strength, classes=3)
        np.testing.assert_allclose(logits, found.logits[own], atol=1e-5)
    assert answer_left_out(values, targets, [], strength=found.strength, classes=3) == []


def test_equal_calls_give_equal_bits() -> None:
    one, two = (learn_in_folds(*drawn(), classes=3) for _ in range(2))
    assert np.array_equal(one.logits, two.logits)
    assert np.array_equal(one.head.weight, two.head.weight)


def test_noise_gets_a_strong_penalty_and_clear_classes_a_weak_one() -> None:
    noise = learn_in_folds(*drawn(spread=1e4), classes=3)
    clear = learn_in_folds(*drawn(spread=0.5), classes=3)
    assert noise.strength == STRENGTHS[0]
    assert clear.strength > 10
    assert (clear.logits.argmax(axis=1) == drawn()[1]).all()


def test_views_teach_and_the_pictures_answer() -> None:
    values, targets, folds = drawn()
    views = np.stack([values + 0.1, values - 0.1])
    found = learn_in_folds(values, targets, folds, classes=3, views=views)
    alone = learn_in_folds(values, targets, folds, classes=3)
    assert found.logits.shape == alone.logits.shape
    assert (found.logits.argmax(axis=1) == alone.logits.argmax(axis=1)).mean() > 0.9


def test_a_class_without_pictures_elsewhere_and_a_single_class_are_answered() -> None:
    values, targets, folds = drawn(20, 2)
    targets = np.where(targets == 1, np.where(folds < 2, 1, 0), 0)  # without folds 0 and 1 there is one class
    found = learn_in_folds(values, targets, folds, classes=3)
    assert np.isfinite(found.logits).all()
    assert (found.logits.argmax(axis=1) < 2).all()


def test_a_class_keeps_its_weight_without_a_fold() -> None:
    """Of equal pictures with three of each class, the others' labels would answer against a picture's own."""
    draw = np.random.default_rng(0)
    values = (1 + draw.normal(0, 1e-3, (9, 20))).astype(np.float32)
    targets, folds = np.arange(9) % 3, np.arange(9) % 5
    found = learn_in_folds(values, targets, folds, classes=3)
    odds = np.exp(found.logits - found.logits.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    strong = np.array(found.strengths)[folds] <= STRENGTHS[0]
    assert strong.any()
    assert odds[strong, targets[strong]].mean() > 0.25


def test_class_weights_count() -> None:
    values, targets, folds = drawn(spread=30)
    heavy = learn_in_folds(values, targets, folds, classes=3, class_weights=np.array([9, 1, 1], np.float32))
    plain = learn_in_folds(values, targets, folds, classes=3)
    answers = [(found.logits.argmax(axis=1) == 0).sum() for found in (heavy, plain)]
    assert answers[0] > answers[1]


def test_pictures_that_do_not_teach_are_answered_and_their_labels_change_nothing() -> None:
    values, targets, folds = drawn()
    teaching = np.arange(len(targets)) // 3 % 2 == 0
    found = answer_in_folds(values, targets, folds, teaching, classes=3)
    other = answer_in_folds(values, np.where(teaching, targets, 2 - targets), folds, teaching, classes=3)
    assert np.array_equal(found, other)
    everyone = answer_in_folds(values, targets, folds, np.ones_like(teaching), classes=3)
    assert np.array_equal(everyone, learn_in_folds(values, targets, folds, classes=3).logits)
    nobody = answer_in_folds(values, targets, folds, np.zeros_like(teaching), classes=3)
    assert np.isfinite(nobody).all()


def test_heads_are_counted_and_two_folds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    learn_in_folds(*drawn(30), classes=3, advance=done.append)
    assert sum(done) == count_heads(5) == 16
    values, targets, folds = drawn(30)
    with pytest.raises(InputError, match="at least 3, not 2"):
        learn_in_folds(values, targets, folds % 2, classes=3)


def test_a_head_that_does_not_converge_warns_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.train.logistic_solver.MOST_STEPS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn_in_folds(*drawn(30), classes=3)


def test_a_head_is_a_linear_layer() -> None:
    head = Head(np.eye(2, dtype=np.float32), np.array([1, 0], np.float32))
    values: Any = np.array([[1, 2]], np.float32)
    assert head.logits(values).tolist() == [[2, 2]]

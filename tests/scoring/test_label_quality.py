"""Labels that answers and neighbors speak against have a low quality, and twins do not vouch for each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.scoring.label_quality import (
    Neighbors,
    estimate_errors,
    label_quality,
    nearest_in_other_folds,
    nearest_of_other_classes,
    vote,
)


def two_clouds(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features of two classes that lie apart, `count` of each."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(2 * count, 16))
    values[:count] += 3
    return values.astype(np.float32), np.repeat(np.array([0, 1]), count)


def test_neighbors_lie_in_other_folds_and_the_nearest_comes_first() -> None:
    values, _ = two_clouds(30)
    folds = np.arange(60) % 5
    found = nearest_in_other_folds(values, folds, most=7)
    assert found.numbers.shape == (60, 7)
    assert (folds[found.numbers] != folds[:, None]).all()
    assert (np.diff(found.similarity, axis=1) <= 0).all()
    centered = values - values.mean(axis=0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    cosines = np.where(folds[:, None] == folds, -2, unit @ unit.T)
    assert (found.numbers[:, 0] == cosines.argmax(axis=1)).all()


def test_there_are_as_many_neighbors_as_every_picture_has() -> None:
    values, targets = two_clouds(3)
    assert nearest_in_other_folds(values, np.array([0, 0, 0, 0, 1, 1])).numbers.shape == (6, 2)
    assert (targets[nearest_of_other_classes(values, targets).numbers] != targets[:, None]).all()


def test_votes_are_weighted_and_rule_no_class_out() -> None:
    near = Neighbors(np.array([[1, 2]] * 3), np.array([[0.9, 0.3]] * 3, np.float32))
    shares = vote(near, np.array([0, 1, 2]), 3)
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares > 0).all()
    assert np.isclose((shares[0, 1] - 0.05 / 3) / (shares[0, 2] - 0.05 / 3), 3)


def test_a_wrong_label_has_the_lowest_quality() -> None:
    values, targets = two_clouds(20)
    labels = targets.copy()
    labels[4] = 1
    probabilities = np.where(np.eye(2)[targets] > 0, 0.9, 0.1)
    near = nearest_in_other_folds(values, np.arange(40) % 5)
    quality = label_quality(probabilities, vote(near, labels, 2), labels)
    assert quality.argmin() == 4
    assert estimate_errors(probabilities, labels) == 1
    assert estimate_errors(probabilities, targets) == 0


def test_a_class_without_pictures_breaks_no_estimate() -> None:
    assert estimate_errors(np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]]), np.array([0, 1])) == 0

"""Quality of labels: how well answers out of fold and the nearest pictures agree with the label of each picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Neighbors",
    "estimate_errors",
    "label_quality",
    "nearest_in_other_folds",
    "nearest_of_other_classes",
    "vote",
]

NEAREST = 20
"""Most pictures that vote."""
ROWS = 1024
"""Pictures that are compared with all others at once."""
DOUBT = 0.05
"""Share of a vote that is spread over all classes, so that no class is ruled out by its neighbors alone."""


class Neighbors(NamedTuple):
    """The nearest pictures of each of N pictures, the nearest first."""

    numbers: NDArray[np.int64]
    """(N, k)."""
    similarity: NDArray[np.float32]
    """(N, k): cosine of the angle between the centered features, -1 to 1."""


def nearest_in_other_folds(features: NDArray[np.float32], folds: NDArray[np.int64], most: int = NEAREST) -> Neighbors:
    """Find the nearest pictures of each picture among those of the other folds.

    Twins, and pictures of one group, share a fold. So none of them votes for another, which has the same error.

    Args:
        features: (N, F).
        folds: (N,) numbers of at least two folds.
        most: Largest number of neighbors of a picture.

    Returns:
        As many neighbors for each picture as every picture has, at most `most`.
    """
    return _nearest(features, folds, most)


def nearest_of_other_classes(features: NDArray[np.float32], targets: NDArray[np.int64], most: int = 2) -> Neighbors:
    """Find the nearest pictures of each picture among those of the other classes, twins included.

    Args:
        features: (N, F).
        targets: Labels, (N,), of at least two classes.
        most: Largest number of neighbors of a picture.

    Returns:
        As many neighbors for each picture as every picture has, at most `most`.
    """
    return _nearest(features, targets, most)


def _nearest(features: NDArray[np.float32], apart: NDArray[np.int64], most: int) -> Neighbors:
    """Find the nearest pictures with another number than the picture's own in `apart`, (N,)."""
    unit = features - features.mean(axis=0)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    count = min(most, len(apart) - int(np.bincount(apart).max()))
    numbers, similarity = np.empty((len(unit), count), np.int64), np.empty((len(unit), count), np.float32)
    for start in range(0, len(unit), ROWS):
        rows = slice(start, start + ROWS)
        found = unit[rows] @ unit.T
        found[apart[rows, None] == apart] = -np.inf
        best = np.argpartition(-found, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(found, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        numbers[rows] = np.take_along_axis(best, order, axis=1)
        similarity[rows] = np.take_along_axis(values, order, axis=1)
    return Neighbors(numbers, similarity)


def vote(neighbors: Neighbors, targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return the share of each class among the neighbors of each picture, weighted by their similarity.

    Args:
        neighbors: Neighbors of N pictures.
        targets: Labels, (N,).
        classes: Number of classes.

    Returns:
        Shares, (N, classes); each row sums to 1, and none is 0.
    """
    weights = np.maximum(neighbors.similarity.astype(np.float64), 1e-6)
    shares = np.zeros((len(targets), classes))
    rows = np.arange(len(targets))
    for place in range(weights.shape[1]):
        np.add.at(shares, (rows, targets[neighbors.numbers[:, place]]), weights[:, place])
    found: NDArray[np.float64] = (1 - DOUBT) * shares / weights.sum(axis=1, keepdims=True) + DOUBT / classes
    return found


def label_quality(
    probabilities: NDArray[np.float64], votes: NDArray[np.float64], targets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean of the probability that heads, and that neighbors, give to each picture's label.

    Args:
        probabilities: (N, classes), of heads that had not seen the picture.
        votes: (N, classes), as `vote` returns them.
        targets: Labels, (N,).

    Returns:
        (N,) from 0, surely wrong, to 1.
    """
    rows = np.arange(len(targets))
    found: NDArray[np.float64] = (probabilities[rows, targets] + votes[rows, targets]) / 2
    return found


def estimate_errors(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> int:
    """Estimate how many labels are wrong, by confident learning (Northcutt et al. 2021, arXiv:1911.00068).

    A label counts as wrong where another class is as probable as that class usually is for the pictures that carry its
    label.

    Args:
        probabilities: (N, classes), of heads that had not seen the picture.
        targets: Labels, (N,).
    """
    classes = probabilities.shape[1]
    own = [probabilities[targets == label, label] for label in range(classes)]
    usual = np.array([each.mean() if len(each) else np.inf for each in own])
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    surest = confident.argmax(axis=1)
    return int(((surest != targets) & (confident.max(axis=1) > 0)).sum())

"""Answer pictures by heads on features that had not seen them, nor their twins, nor their group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.data.units import units_of
from pennyweight.train.logistic_head import Head, learn_in_folds
from pennyweight.verbs.fitting.choose_folds import usual_folds

__all__ = ["OutOfFold", "answer_out_of_fold", "softmax"]

DIVISIONS = 3
"""Divisions into folds whose answers are averaged: a division alone depends on who shares a fold."""
MOST_TEACHING = 1_000
"""Pictures that teach the heads of a division. More would take minutes and change few answers."""
LEAST_OF_CLASS = 30
"""Pictures of a class that teach at least, where it has as many and there are at most 100 classes."""
LEAST_UNITS = 5
"""Groups, clusters of twins or lone pictures of a class that teach at least: folds keep each of these whole."""


class OutOfFold(NamedTuple):
    """Answers to N pictures."""

    probabilities: NDArray[np.float64]
    """(N, classes), the mean over the divisions."""
    folds: NDArray[np.int64]
    """(N,) numbers of the folds of the first division."""
    heads: tuple[Head, ...]
    """Heads of each division, of all pictures that taught."""


def answer_out_of_fold(
    features: NDArray[np.float32],
    samples: Sequence[data.Sample],
    labels: Sequence[str],
    clusters: Mapping[str, str],
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> OutOfFold:
    """Answer every picture in folds by logistic regression, in several divisions.

    Of many pictures each division has about a thousand that teach, in folds; their head answers the others, which it
    has not seen either.

    Args:
        features: (N, F).
        samples: The N pictures.
        labels: Names of the classes.
        clusters: Name of the cluster of each picture with twins, by its digest.
        advance: Called with 1 after every division.

    Raises:
        SourceError: A class has fewer than two pictures, or there are too few pictures for folds.
    """
    targets = np.array([sample.label for sample in samples], np.int64)
    total = np.zeros((len(samples), len(labels)))
    heads = []
    for seed in range(DIVISIONS):
        part = _teaching(samples, clusters, seed)
        taught = [samples[number] for number in part.tolist()]
        count = usual_folds(taught, seed=seed, clusters=clusters)
        folds = data.assign_folds(taught, count, seed=seed, clusters=clusters, labels=labels)
        found = learn_in_folds(features[part], targets[part], folds, classes=len(labels))
        heads.append(found.head)
        logits = found.head.logits(features)
        logits[part] = found.logits
        total += softmax(logits)
        advance(1)
    count = usual_folds(samples, seed=0, clusters=clusters)
    folds = data.assign_folds(samples, count, seed=0, clusters=clusters, labels=labels)
    return OutOfFold(total / DIVISIONS, folds, tuple(heads))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of logits, (N, classes)."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return found


def _teaching(samples: Sequence[data.Sample], clusters: Mapping[str, str], seed: int) -> NDArray[np.int64]:
    """Draw the pictures that teach, in whole units: all of few, else of each class its share and the least numbers."""
    if len(samples) <= MOST_TEACHING:
        return np.arange(len(samples))
    counts = Counter(sample.label for sample in samples)
    least = min(LEAST_OF_CLASS, 3 * MOST_TEACHING // len(counts))
    left = {label: max(least, MOST_TEACHING * count // len(samples)) for label, count in counts.items()}
    units_left = dict.fromkeys(counts, LEAST_UNITS)
    number_of = {id(sample): number for number, sample in enumerate(samples)}
    units, taken = units_of(samples, clusters), list[int]()
    for place in np.random.default_rng(seed).permutation(len(units)).tolist():
        unit = units[place].samples
        labels = {sample.label for sample in unit}
        if any(left[label] > 0 or units_left[label] > 0 for label in labels):
            taken += [number_of[id(sample)] for sample in unit]
            for sample in unit:
                left[sample.label] -= 1
            for label in labels:
                units_left[label] -= 1
    return np.sort(np.array(taken, np.int64))

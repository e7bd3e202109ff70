"""Evaluation of a classifier: accuracy with its interval, scores per class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pennyweight.core.figures import number, share
from pennyweight.core.intervals import wilson
from pennyweight.core.summary import Facts, Summary

__all__ = ["ClassScore", "Evaluation", "score"]


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Scores of a class. Precision and recall are 0 if their denominator is 0."""

    label: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Summary):
    """Scores of a classifier on `images` pictures that it was not trained on."""

    source: str
    split: str
    images: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    """Wilson's 95% interval: the accuracies that other samples of this size would give."""
    majority_accuracy: float
    """Accuracy of always answering the most common class."""
    loss: float
    """Mean of -log(probability of the true class)."""
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts [true class][predicted class], in the order of `labels`."""
    labels: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as evaluation.json keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        low, high = self.accuracy_interval
        yield "accuracy", f"{share(self.accuracy)} (95% interval {share(low)} to {share(high)})"
        yield f"{self.split} images", number(self.images)
        yield "data", self.source
        yield "loss", number(self.loss)
        yield "majority class", share(self.majority_accuracy)
        worst = min((row for row in self.per_class if row.images), key=lambda row: row.f1)
        yield "lowest F1", f"{share(worst.f1)} ({worst.label})"
        yield "classes", number(len(self.labels))


def score(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], *, labels: Sequence[str], source: str, split: str
) -> Evaluation:
    """Score probabilities against the true classes.

    Args:
        probabilities: (N, classes), N at least 1.
        targets: True classes as indices into `labels`, (N,).
        labels: Names of the classes.
        source: Name of the source of the pictures.
        split: Name of the split.

    Returns:
        All scores.
    """
    answers = probabilities.argmax(axis=1)
    numbers = range(len(labels))
    correct = int((answers == targets).sum())
    total = len(targets)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, answers, labels=numbers, average=None, zero_division=0.0
    )
    # The smallest normal float32 keeps the loss finite where a probability underflowed to 0.
    truth = np.maximum(probabilities[np.arange(total), targets].astype(np.float64), np.finfo(np.float32).tiny)
    return Evaluation(
        source=source,
        split=split,
        images=total,
        accuracy=correct / total,
        accuracy_interval=wilson(correct, total),
        majority_accuracy=float(np.bincount(targets).max() / total),
        loss=float(-np.log(truth).mean()),
        per_class=tuple(
            ClassScore(label=label, precision=float(p), recall=float(r), f1=float(f), images=int(n))
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion_matrix(targets, answers, labels=numbers)),
        labels=tuple(labels),
    )

"""Evaluation of a classifier: accuracy with its interval, scores per class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.accuracy_line import as_groups, in_folds, independent_pictures, predicted, without_twins
from pennyweight.core.figures import number, share
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.apart import TwinsInTraining
from pennyweight.data.intervals import effective_count, share_interval, shift_interval

__all__ = ["ClassScore", "Evaluation", "Subset", "score"]


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Scores of a class. Precision and recall are 0 if their denominator is 0."""

    label: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Accuracy on a part of the pictures. Both figures are None for a part without pictures."""

    images: int
    accuracy: float | None
    accuracy_interval: tuple[float, float] | None
    """95% interval, as of `Evaluation`."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Summary):
    """Scores of a classifier on `images` pictures that it was not trained on."""

    source: str
    split: str
    images: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    """95% interval: the accuracies that other samples of this size would give. It is Wilson's; where twins are among
    the pictures, it is the exact one for `effective_images`. With folds it is for the network that is
    kept: it counts fewer pictures, and is shifted as `predicted_accuracy` is."""
    majority_accuracy: float
    """Accuracy of always answering the most common class."""
    loss: float
    """Mean of -log(probability of the true class)."""
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts [true class][predicted class], in the order of `labels`."""
    labels: tuple[str, ...]
    folds: int | None = None
    """Number of folds whose networks each answered the pictures that they had not seen; None for a split. The network
    that is kept learned from all of these pictures."""
    predicted_accuracy: float | None = None
    """Predicted accuracy of the network that learned from all pictures; None without folds, and where the score is not
    surely above `majority_accuracy`."""
    moments: int | None = None
    """Number of pictures, twins counted as one; None where twins were not looked for."""
    effective_images: float | None = None
    """Effective number of independent pictures, at most `moments`; None where twins were not looked for."""
    group_interval: tuple[float, float] | None = None
    """95% interval if the pictures of a group are all right or all wrong together; None without groups. The other
    interval counts pictures of a group one by one, as if independent."""
    without_twins: Subset | None = None
    """Scores on the pictures without a twin in training or validation; None where twins were not looked for."""
    unknown_twins: int | None = None
    """Number of the pictures among these of which it cannot be told; None where twins were not looked for."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as evaluation.json keeps them, those of folds and groups only where there are some."""
        rare = ("folds", "predicted_accuracy", "group_interval")
        return {name: value for name, value in asdict(self).items() if name not in rare or value is not None}

    def _facts(self) -> Facts:
        low, high = self.accuracy_interval
        yield "accuracy", f"{share(self.accuracy)} (95% interval {share(low)} to {share(high)})"
        if alike := independent_pictures(asdict(self)):
            yield "", alike
        if self.group_interval is not None:
            yield "", as_groups(self.group_interval)
        yield f"{self.split} images", number(self.images)
        if self.folds is not None:
            yield "", in_folds(self.folds)
        if self.predicted_accuracy is not None:
            yield "", predicted(self.predicted_accuracy)
        if self.without_twins is not None and self.without_twins.images < self.images:
            yield "", without_twins(asdict(self.without_twins), folded=self.folds is not None)
        yield "data", self.source
        yield "loss", number(self.loss)
        yield "majority class", share(self.majority_accuracy)
        worst = min((row for row in self.per_class if row.images), key=lambda row: row.f1)
        yield "lowest F1", f"{share(worst.f1)} ({worst.label})"
        yield "classes", number(len(self.labels))


def score(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    *,
    labels: Sequence[str],
    source: str,
    split: str,
    twins: TwinsInTraining | None = None,
    moments: NDArray[np.int64] | None = None,
    units: NDArray[np.int64] | None = None,
    folds: int | None = None,
) -> Evaluation:
    """Score probabilities against the true classes.

    Args:
        probabilities: (N, classes), N at least 1.
        targets: True classes as indices into `labels`, (N,).
        labels: Names of the classes.
        source: Name of the source of the pictures.
        split: Name of the split.
        twins: Masks of the pictures with a twin in training or validation; None where twins were not looked for.
        moments: Number of the moment that each picture shows, (N,); None where twins were not looked for.
        units: Number of the group of each picture, (N,), of which twins and equal pictures are a part; None without
            groups.
        folds: Number of folds, where networks of several folds answered; None for one network.

    Returns:
        All scores.
    """
    from sklearn.metrics import confusion_matrix  # slow to import

    answers = probabilities.argmax(axis=1)
    numbers = range(len(labels))
    correct = answers == targets
    total = len(targets)
    # The smallest normal float32 keeps the loss finite where a probability underflowed to 0.
    truth = np.maximum(probabilities[np.arange(total), targets].astype(np.float64), np.finfo(np.float32).tiny)
    majority = float(np.bincount(targets).max() / total)
    interval, predicted_accuracy = _interval(correct, moments, folds, majority)
    return Evaluation(
        source=source,
        split=split,
        images=total,
        accuracy=float(correct.mean()),
        accuracy_interval=interval,
        majority_accuracy=majority,
        loss=float(-np.log(truth).mean()),
        per_class=_per_class(targets, answers, labels),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion_matrix(targets, answers, labels=numbers)),
        labels=tuple(labels),
        folds=folds,
        predicted_accuracy=predicted_accuracy,
        moments=None if moments is None else len(np.unique(moments)),
        effective_images=None if moments is None else effective_count(moments),
        group_interval=None if units is None else _interval(correct, units, folds, majority)[0],
        without_twins=None if twins is None else _subset(correct, moments, ~twins.found, folds, majority),
        unknown_twins=None if twins is None else int(twins.unknown.sum()),
    )


def _per_class(targets: NDArray[np.int64], answers: NDArray[np.int64], labels: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return the scores of each class."""
    from sklearn.metrics import precision_recall_fscore_support  # slow to import

    found = precision_recall_fscore_support(
        targets, answers, labels=range(len(labels)), average=None, zero_division=0.0
    )
    return tuple(
        ClassScore(label=label, precision=float(p), recall=float(r), f1=float(f), images=int(n))
        for label, p, r, f, n in zip(labels, *found, strict=True)
    )


def _interval(
    correct: NDArray[np.bool_], moments: NDArray[np.int64] | None, folds: int | None, majority: float
) -> tuple[tuple[float, float], float | None]:
    """Return the 95% interval, and with folds the predicted accuracy of the network that learned from all pictures."""
    found = share_interval(correct, moments, folded=folds is not None)
    if folds is None:
        return found, None
    return shift_interval(found, float(correct.mean()), folds, majority)


def _subset(
    correct: NDArray[np.bool_],
    moments: NDArray[np.int64] | None,
    which: NDArray[np.bool_],
    folds: int | None,
    majority: float,
) -> Subset:
    correct, moments = correct[which], None if moments is None else moments[which]
    if not len(correct):
        return Subset(images=0, accuracy=None, accuracy_interval=None)
    interval, _ = _interval(correct, moments, folds, majority)
    return Subset(images=len(correct), accuracy=float(correct.mean()), accuracy_interval=interval)

"""Scores of a map of classes, as papers on hyperspectral scenes report them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.figures import fine_share, number, share
from pennyweight.core.summary import Facts, Summary
from pennyweight.scoring.leakage import Leakage

__all__ = [
    *("SCORES", "PixelScore", "PixelScores", "SceneEvaluation", "mean_and_deviation", "score_pixels", "score_scene"),
]

SCORES = ("overall_accuracy", "average_accuracy", "kappa")


@dataclass(frozen=True, kw_only=True)
class PixelScore:
    """Scores of a class. `accuracy` is its recall; precision is 0 if the class was never predicted."""

    label: str
    accuracy: float
    precision: float
    pixels: int


@dataclass(frozen=True, kw_only=True)
class PixelScores:
    """Scores of a map on some pixels, as papers report them.

    The accuracy has no interval: neighboring pixels are alike, so their number says little. Trainings with several
    seeds give one.
    """

    pixels: int
    overall_accuracy: float
    average_accuracy: float
    """Mean of the classes' accuracies, without classes that have no test pixels."""
    kappa: float
    """Cohen's kappa: agreement beyond chance. Cohen 1960, doi:10.1177/001316446002000104."""
    per_class: tuple[PixelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts [true class][predicted class], in the order of `labels`."""
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class SceneEvaluation(Summary, PixelScores):
    """Scores of a classifier on the test pixels of a scene."""

    source: str
    split: str
    leakage: Leakage
    left_out: tuple[str, ...]
    """Classes that are not scored, because training or test has none of their pixels."""
    masked: int
    """Pixels of the scene whose spectra have NaN or infinity."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as evaluation.json keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "overall accuracy", fine_share(self.overall_accuracy)
        yield "average accuracy", fine_share(self.average_accuracy)
        yield "kappa", number(self.kappa)
        yield "test pixels", f"{number(self.pixels)} ({self.split} split)"
        yield "test windows with training pixels", share(self.leakage.share)
        yield "scene", self.source
        yield "classes", number(len(self.labels))


def score_pixels(answers: NDArray[np.integer], targets: NDArray[np.integer], *, labels: Sequence[str]) -> PixelScores:
    """Score predicted classes against the true classes.

    Args:
        answers: Predicted classes as indices into `labels`, (N,), N at least 1.
        targets: True classes as indices into `labels`, (N,).
        labels: Names of the classes.

    Returns:
        The scores. A map from a bundle is scored here too, without scikit-learn.
    """
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (targets, answers), 1)
    right, support, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = right / np.maximum(support, 1), right / np.maximum(predicted, 1)
    return PixelScores(
        pixels=len(targets),
        overall_accuracy=float((answers == targets).mean()),
        average_accuracy=float(recall[support > 0].mean()),
        kappa=_kappa(confusion),
        per_class=tuple(
            PixelScore(label=label, accuracy=float(r), precision=float(p), pixels=int(n))
            for label, r, p, n in zip(labels, recall, precision, support, strict=True)
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        labels=tuple(labels),
    )


def _kappa(confusion: NDArray[np.int64]) -> float:
    """Return Cohen's kappa to scikit-learn's last bit: a map from a bundle is scored without it."""
    seen = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    counts = confusion[np.ix_(seen, seen)].astype(np.float64)
    wrong = 1.0 - np.eye(len(counts))
    by_chance = np.outer(counts.sum(axis=0), counts.sum(axis=1)) / counts.sum()
    expected = np.sum(wrong * by_chance)
    # With one class only, always predicted, kappa would be 0 / 0.
    return float(1 - np.sum(wrong * counts) / expected) if expected else 1.0


def score_scene(
    answers: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    labels: Sequence[str],
    source: str,
    split: str,
    leakage: Leakage,
    left_out: Sequence[int] = (),
    masked: int = 0,
) -> SceneEvaluation:
    """Score predicted classes on the test pixels of a scene.

    Args:
        answers: Predicted classes as indices into `labels`, (N,), N at least 1.
        targets: True classes as indices into `labels`, (N,).
        labels: Names of the classes.
        source: Name of the scene.
        split: Name of the split.
        leakage: Leakage of the split.
        left_out: Indices of classes that are not scored.
        masked: Number of pixels whose spectra have NaN or infinity.

    Returns:
        All scores.
    """
    return SceneEvaluation(
        **vars(score_pixels(answers, targets, labels=labels)),
        source=source,
        split=split,
        leakage=leakage,
        left_out=tuple(labels[number] for number in left_out),
        masked=masked,
    )


def mean_and_deviation(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and sample standard deviation (0 for a single seed) of each score over several seeds."""
    summary = {}
    for name in SCORES:
        values = [evaluation[name] for evaluation in evaluations]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        summary[name] = {"mean": float(np.mean(values)), "deviation": deviation}
    return summary

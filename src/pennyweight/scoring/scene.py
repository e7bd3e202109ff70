"""Scores of a map of classes, as papers on hyperspectral scenes give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

from pennyweight.core.figures import fine_share, number, share
from pennyweight.core.summary import Facts, Summary
from pennyweight.scoring.leakage import Leakage

__all__ = ["SCORES", "PixelScore", "SceneEvaluation", "mean_and_deviation", "score_scene"]

SCORES = ("overall_accuracy", "average_accuracy", "kappa")


@dataclass(frozen=True, kw_only=True)
class PixelScore:
    """One class. `accuracy` is the share of its pixels that were found (recall); precision is 0 for no answer."""

    label: str
    accuracy: float
    precision: float
    pixels: int


@dataclass(frozen=True, kw_only=True, repr=False)
class SceneEvaluation(Summary):
    """What a classifier scored on the test pixels of a scene.

    No interval stands beside the accuracy: neighbouring pixels are alike, so that their number says little. Several
    seeds give one.
    """

    source: str
    split: str
    pixels: int
    overall_accuracy: float
    average_accuracy: float
    """Mean of the classes' accuracies; those without test pixels are left out."""
    kappa: float
    """Agreement beyond chance. Cohen 1960, doi:10.1177/001316446002000104."""
    leakage: Leakage
    per_class: tuple[PixelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """[truth][answer], in the order of `labels`."""
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    """Classes that lie on one side of the guard only."""
    masked: int
    """Pixels of the scene without numbers."""

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json keeps it."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "overall accuracy", fine_share(self.overall_accuracy)
        yield "average accuracy", fine_share(self.average_accuracy)
        yield "kappa", number(self.kappa)
        yield f"{self.split} pixels", number(self.pixels)
        yield "test windows with training pixels", share(self.leakage.share)
        yield "scene", self.source
        yield "classes", number(len(self.labels))


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
    """Score answers (N,) against targets (N,), both indices into `labels`. N is at least 1."""
    numbers = range(len(labels))
    precision, recall, _, support = precision_recall_fscore_support(
        targets, answers, labels=numbers, average=None, zero_division=0.0
    )
    known = support > 0
    both = np.union1d(targets, answers)
    return SceneEvaluation(
        source=source,
        split=split,
        pixels=len(targets),
        overall_accuracy=float((answers == targets).mean()),
        average_accuracy=float(recall[known].mean()),
        # One class alone, always found: kappa would divide nothing by nothing.
        kappa=float(cohen_kappa_score(targets, answers)) if len(both) > 1 else 1.0,
        leakage=leakage,
        per_class=tuple(
            PixelScore(label=label, accuracy=float(r), precision=float(p), pixels=int(n))
            for label, r, p, n in zip(labels, recall, precision, support, strict=True)
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion_matrix(targets, answers, labels=numbers)),
        labels=tuple(labels),
        left_out=tuple(labels[number] for number in left_out),
        masked=masked,
    )


def mean_and_deviation(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Each score over several seeds: mean, and the deviation of a sample (0 of a single one)."""
    summary = {}
    for name in SCORES:
        values = [evaluation[name] for evaluation in evaluations]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        summary[name] = {"mean": float(np.mean(values)), "deviation": deviation}
    return summary

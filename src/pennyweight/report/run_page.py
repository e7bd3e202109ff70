"""Report of a run on pictures as one HTML page: accuracy, learning curves, confusion matrix, mistakes, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.report.leaks import Leaks
from pennyweight.report.least_typical import LeastTypical
from pennyweight.report.network_inputs import NetworkInputs
from pennyweight.report.render import render

__all__ = ["Mistake", "run_page"]

MATRIX_CLASSES = 30
"""Most classes of a confusion matrix; with more, a list of the most confused pairs takes its place."""
LISTED_PAIRS = 30
SPLITS = {"train": "training", "val": "validation", "out-of-fold": "scored"}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """Picture that was misclassified. `image` is (H, W, C) uint8 with one channel (gray) or three (RGB).

    `probability` is that of the predicted class and `truth_probability` that of the true class, both 0 to 1.

    Raises:
        ValueError: The image has another shape or type.
    """

    image: NDArray[np.uint8]
    source: str
    truth: str
    predicted: str
    probability: float
    truth_probability: float

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
            raise ValueError(
                f"the image of {self.source!r} is {image.dtype} of shape {image.shape}; "
                "it must be uint8 of shape (H, W, 1) or (H, W, 3)"
            )


def run_page(
    *,
    run: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    cost: Mapping[str, Any],
    mistakes: Sequence[Mistake],
    leaks: Leaks | None = None,
    inputs: NetworkInputs | None = None,
    odd: LeastTypical | None = None,
) -> str:
    """Return the report of a run as a page.

    Args:
        run: Content of run.json.
        epochs: Lines of metrics.jsonl.
        evaluation: Content of evaluation.json.
        cost: Cost of the network for one picture, as `Cost.to_dict` gives it; shapes are without the batch.
        mistakes: Misclassified pictures in the order in which they are shown.
        leaks: Twins to show; None where they were not looked for.
        inputs: Pictures as they enter the network; None without any.
        odd: The least typical pictures; None for a network that does not know them.
    """
    from pennyweight.report import plots  # matplotlib is slow to import

    labels: Sequence[str] = evaluation["labels"]
    many = len(labels) > MATRIX_CLASSES
    best: int | None = run["best"]["epoch"]
    per_class = evaluation["per_class"]
    split = str(evaluation["split"])
    curved = epochs and run["recipe"].get("optimizer") != "lbfgs"  # logistic regression has no epochs
    return render(
        "run.html",
        run=run,
        evaluation=evaluation,
        cost=cost,
        mistakes=mistakes,
        leaks=leaks or Leaks(),
        inputs=inputs,
        odd=odd if odd is not None and odd.parts else None,
        epochs=epochs,
        split=SPLITS.get(split, split),
        curves=[draw(epochs, best=best) for draw in (plots.loss_curves, plots.accuracy_curves)] if curved else [],
        more=plots.learning_curve(run["learning_curve"]["points"]) if run.get("learning_curve") else None,
        matrix=None if many else plots.confusion_matrix(evaluation["confusion"], labels),
        pairs=_confused(evaluation["confusion"], labels) if many else [],
        worst_first=many,
        per_class=sorted(per_class, key=lambda row: row["f1"] or 0.0) if many else per_class,
        elsewhere=_elsewhere(cost),
    )


def _confused(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the most confused pairs of classes, most frequent first, with their count and share of the true class."""
    counts = np.asarray(confusion, dtype=np.int64)
    totals = counts.sum(axis=1)
    wrong = counts * (1 - np.eye(len(labels), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED_PAIRS]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        {
            "truth": labels[row],
            "predicted": labels[column],
            "count": int(wrong[row, column]),
            "share": float(wrong[row, column] / totals[row]),
        }
        for row, column in pairs
        if wrong[row, column]
    ]


def _elsewhere(cost: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the totals beyond the layers, such as a parameter of the network itself; None where they agree."""
    rest = {key: cost[key] - sum(layer[key] for layer in cost["layers"]) for key in ("params", "macs")}
    return rest if any(rest.values()) else None

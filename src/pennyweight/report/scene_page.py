"""Report of a run on a scene as one HTML page: maps, scores and leakage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.report import maps
from pennyweight.report.inline import data_uri
from pennyweight.report.render import render

__all__ = ["scene_page"]

SCORES = ("overall_accuracy", "average_accuracy", "kappa")


def scene_page(
    *,
    run: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    cost: Mapping[str, Any],
    classes: NDArray[np.integer],
    truth: NDArray[np.integer],
    test: NDArray[np.integer],
    confidence: NDArray[np.float32],
) -> str:
    """Return the report of a run on a scene as a page.

    Args:
        run: Content of run.json.
        epochs: Lines of metrics.jsonl.
        evaluation: Content of evaluation.json.
        cost: Cost of the network for one window, as `Cost.to_dict` gives it.
        classes: Predicted classes (H, W), indices into the labels; negative where the scene has no data.
        truth: Ground truth (H, W), indices into the labels; negative where there is none.
        test: Test pixels by their flat index into (H, W).
        confidence: Probabilities of the predicted classes (H, W); 0 where the scene has no data.
    """
    from pennyweight.report import plots  # matplotlib is slow to import

    labels = evaluation["labels"]
    made = " (synthetic scene)" if run["scene"]["synthetic"] else ""
    drawn = {
        f"Predicted classes{made}": maps.class_map(classes, labels),
        "Ground truth": maps.class_map(truth, labels, rest="unlabeled"),
        "Errors on the test pixels": maps.error_map(classes, _only(truth, test)),
        "Errors, training pixels included": maps.error_map(classes, truth),
        "Confidence: the probability of the predicted class": maps.confidence_map(confidence),
    }
    scores = {run["model"]["name"]: evaluation, **evaluation.get("baselines", {})}
    return render(
        "scene.html",
        run=run,
        evaluation=evaluation,
        cost=cost,
        epochs=epochs,
        rows={name: [row[key] for key in SCORES] for name, row in scores.items()},
        maps=[_inline(caption, picture) for caption, picture in drawn.items()],
        curves=[draw(epochs, best=run["best"]["epoch"]) for draw in (plots.loss_curves, plots.accuracy_curves)],
        matrix=plots.confusion_matrix(evaluation["confusion"], labels),
    )


def _only(truth: NDArray[np.integer], pixels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the ground truth of some pixels; -1 elsewhere."""
    kept = np.full_like(truth, -1)
    kept.ravel()[pixels] = truth.ravel()[pixels]
    return kept


def _inline(caption: str, drawn: maps.Map) -> dict[str, Any]:
    """Return what the page shows of a map."""
    width, height = drawn.picture.size
    source = data_uri(drawn.picture, optimize=True)
    return {"caption": caption, "source": source, "width": width, "height": height, "legend": drawn.legend}

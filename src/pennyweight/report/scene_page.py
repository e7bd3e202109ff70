"""The report of a scene's run: one HTML page with the maps in it, and the leakage beside the score."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.report import maps, plots
from pennyweight.report.page import environment

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
    confidence: NDArray[np.float32],
) -> str:
    """The page as text, to be written as UTF-8.

    `run`, `epochs` and `evaluation` are what run.json, metrics.jsonl and evaluation.json hold; `classes` is the map
    (H, W) of class numbers, `truth` the label map, negative where nothing is known.
    """
    labels = evaluation["labels"]
    source = run["data"]["source"]
    made = " (synthetic)" if run["scene"]["synthetic"] else ""
    pictures = {
        f"Classes of every pixel of {source}{made}": maps.class_map(classes, labels, title=f"{source}{made}: classes"),
        "Labels that people gave": maps.class_map(truth, labels, title=f"{source}{made}: labels", rest="not labelled"),
        "Errors, on training pixels too": maps.error_map(classes, truth, title=f"{source}{made}: errors"),
        "Confidence of the answers": maps.confidence_map(confidence, title=f"{source}{made}: confidence"),
    }
    rows = {run["model"]["name"]: evaluation, **evaluation.get("baselines", {})}
    return (
        environment()
        .get_template("scene.html")
        .render(
            run=run,
            evaluation=evaluation,
            cost=cost,
            epochs=epochs,
            rows={name: [scores[key] for key in SCORES] for name, scores in rows.items()},
            pictures={caption: _inline(picture) for caption, picture in pictures.items()},
            style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
            curves=[draw(epochs, best=run["best"]["epoch"]) for draw in (plots.loss_curves, plots.accuracy_curves)],
            matrix=plots.confusion_matrix(evaluation["confusion"], labels),
        )
    )


def _inline(picture: Image.Image) -> dict[str, Any]:
    """A data URI of the picture, and its size."""
    stream = io.BytesIO()
    picture.save(stream, "png", optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"source": f"data:image/png;base64,{data}", "width": picture.width, "height": picture.height}

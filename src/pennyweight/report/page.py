"""The report of a run: one HTML page that holds all it shows. No script, no request, nothing beside the file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core import figures
from pennyweight.core.text import printable
from pennyweight.report import plots

__all__ = ["Mistake", "environment", "page", "style", "thumbnail"]

MATRIX_CLASSES = 30  # with more classes the matrix gives way to a list of the pairs confused most
LISTED_PAIRS = 30
THUMBNAIL = 256  # pixels of a thumbnail's longer side: sharp at the 160 CSS pixels that it gets on a phone
EXACT = 64  # pixels; a picture no larger is kept pixel for pixel
SPLITS = {"train": "training", "val": "validation"}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A picture that was answered wrongly. `image` is (H, W, C) uint8 with one channel (grey) or three (RGB).

    `probability` is that of the answer given and `truth_probability` that of the right one, both 0 to 1.
    Raises ValueError for an image of another shape or type.
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


def page(
    *,
    run: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    cost: Mapping[str, Any],
    mistakes: Sequence[Mistake],
) -> str:
    """The page as text, to be written as UTF-8.

    `run` is what run.json holds, `epochs` the lines of metrics.jsonl, `evaluation` what evaluation.json holds; `cost`
    is the cost of the network for one picture, its layers' shapes without a batch. Mistakes are shown as ordered.
    """
    labels: Sequence[str] = evaluation["labels"]
    many = len(labels) > MATRIX_CLASSES
    best: int | None = run["best"]["epoch"]
    per_class = evaluation["per_class"]
    split = str(evaluation["split"])
    return (
        environment()
        .get_template("page.html")
        .render(
            run=run,
            evaluation=evaluation,
            cost=cost,
            mistakes=mistakes,
            epochs=epochs,
            split=SPLITS.get(split, split),
            style=style(),
            curves=[draw(epochs, best=best) for draw in (plots.loss_curves, plots.accuracy_curves)] if epochs else [],
            matrix=None if many else plots.confusion_matrix(evaluation["confusion"], labels),
            pairs=_confused(evaluation["confusion"], labels) if many else [],
            worst_first=many,
            per_class=sorted(per_class, key=lambda row: row["f1"] or 0.0) if many else per_class,
            elsewhere=_elsewhere(cost),
        )
    )


def style() -> str:
    """The style sheet of every page."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def environment() -> jinja2.Environment:
    """Templates beside this file, and how values read in them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in figures.__all__:
        if callable(show := getattr(figures, name)):
            environment.filters[name] = show
    environment.filters |= {"interval": _interval, "moment": _moment, "thumbnail": thumbnail}
    environment.tests["small"] = _small
    return environment


def _shown(value: object) -> object:
    """Return a text without letters that could turn a line of the page around; our own markup stays."""
    return printable(value) if type(value) is str else value


def _interval(bounds: tuple[float, float]) -> str:
    """(0.957, 0.992) -> "95.7–99.2%"."""
    low, high = (figures.share(bound) for bound in bounds)
    return f"{low.removesuffix('%')}–{high}"


def _moment(iso: str) -> str:
    """An ISO 8601 moment to the minute: "2026-11-22 21:50 UTC"; the zone only where it is known."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M %Z}".strip()


def thumbnail(image: NDArray[np.uint8]) -> str:
    """A data URI of the picture: (H, W, C) uint8; small ones exact, larger ones shrunk."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    stream = io.BytesIO()
    if _small(image):
        kind = "png"
        picture.save(stream, kind, optimize=True)
    else:
        kind = "jpeg"
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        picture.save(stream, kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _small(image: NDArray[np.uint8]) -> bool:
    return bool(max(image.shape[:2]) <= EXACT)


def _confused(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs of classes confused most often, the commonest first: truth, predicted, count and share of the truth."""
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
    """What the totals hold beyond the layers, such as a parameter of the network itself; None where they agree."""
    rest = {key: cost[key] - sum(layer[key] for layer in cost["layers"]) for key in ("params", "macs")}
    return rest if any(rest.values()) else None

"""Learning curves and the confusion matrix as inline SVG. The same values give the same text, byte for byte."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from rich.cells import cell_len, set_cell_size

from pennyweight.core.figures import number
from pennyweight.core.text import printable
from pennyweight.report.palette import BLUE, FRAME, GRID, HEAT, MARK, VERMILION
from pennyweight.report.svg import POINT, as_svg, own_settings

__all__ = ["accuracy_curves", "confusion_matrix", "learning_curve", "loss_curves"]

TRAIN = {"color": BLUE.light, "linestyle": (0, (5, 2)), "marker": "o"}
VALIDATION = {"color": VERMILION.light, "linestyle": "-", "marker": "s"}
COUNTED_CLASSES = 20
"""Most classes for which a cell has room for its count."""
LABEL_CELLS = 16
"""Longest label, in terminal cells: a Chinese character takes two."""
LABEL_TAIL = 6
"""Cells kept of the end of a longer label."""
MOST_OPAQUE = 0.7
"""Opacity of a cell that holds its whole row: the text on it stays readable on light and dark pages."""


@own_settings()
def loss_curves(epochs: Sequence[Mapping[str, Any]], *, best: int | None = None) -> str:
    """Draw training and validation loss by epoch (lines of metrics.jsonl), with epoch `best` marked, as SVG."""
    figure, axes = _curves(epochs, "train_loss", "val_loss", best)
    axes.set_ylabel("loss")
    return as_svg(figure, "loss", "Loss on training and validation pictures, by epoch" + _best_words(best))


@own_settings()
def accuracy_curves(epochs: Sequence[Mapping[str, Any]], *, best: int | None = None) -> str:
    """Draw training and validation accuracy by epoch (lines of metrics.jsonl), with epoch `best` marked, as SVG."""
    figure, axes = _curves(epochs, "train_accuracy", "val_accuracy", best)
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    return as_svg(figure, "accuracy", "Accuracy on training and validation pictures, by epoch" + _best_words(best))


@own_settings()
def learning_curve(points: Sequence[Mapping[str, Any]]) -> str:
    """Draw the accuracy by the number of pictures that taught, with 95% intervals, as SVG."""
    figure = Figure(figsize=(420 * POINT, 270 * POINT))
    axes = figure.add_axes((0.145, 0.155, 0.835, 0.79))
    counts = [int(point["pictures"]) for point in points]
    values = [float(point["accuracy"]) for point in points]
    lows, highs = zip(*(point["accuracy_interval"] for point in points), strict=True)
    axes.vlines(counts, lows, highs, color=VERMILION.light, linewidth=1.4)
    (line,) = axes.plot(counts, values, linewidth=1.6, markersize=4.5)
    line.set(**VALIDATION)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [number(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("pictures to learn from")
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.grid(color=GRID.light, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return as_svg(figure, "learning-curve", "Accuracy by the number of pictures to learn from, with 95% intervals")


@own_settings()
def confusion_matrix(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix (classes, classes) of counts as SVG; rows are true classes, columns predicted ones.

    A cell is more opaque the larger its share of its row; up to twenty classes it also holds its count. Empty cells are
    zero. Raises ValueError unless there is one row and one column for each label.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    classes = len(labels)
    if counts.shape != (classes, classes):
        raise ValueError(
            f"a confusion matrix of shape {counts.shape} does not fit {classes} labels; "
            f"it must be ({classes}, {classes})"
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [_short(label) for label in labels]
    cell = 62 if classes <= 4 else 34 if classes <= COUNTED_CLASSES else 19
    figure, axes, bar = _matrix_axes(classes, cell, names)
    for row, column in np.argwhere(counts):
        share, count = shares[row, column], number(int(counts[row, column]))
        axes.add_patch(_heated(column, row, 1, 1, share))
        if classes <= COUNTED_CLASSES:
            size = min(12 if classes <= 4 else 10, 1.5 * cell / len(count))
            axes.text(column + 0.5, row + 0.5, count, ha="center", va="center", fontsize=size)
    _color_bar(bar)
    return as_svg(
        figure,
        "confusion",
        f"Confusion matrix of {classes} classes, rows are true classes and columns predicted ones; "
        f"{np.trace(counts):,} of {counts.sum():,} on the diagonal",
    )


def _curves(epochs: Sequence[Mapping[str, Any]], train: str, validation: str, best: int | None) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(420 * POINT, 270 * POINT))
    axes = figure.add_axes((0.145, 0.155, 0.835, 0.745))
    numbers = [int(epoch["epoch"]) for epoch in epochs]
    marked = len(epochs) <= 30
    for key, name, style in ((train, "training", TRAIN), (validation, "validation", VALIDATION)):
        values = _finite(epoch.get(key) for epoch in epochs)
        (line,) = axes.plot(numbers, values, label=name, linewidth=1.6, markersize=3.5)
        line.set(**(style if marked else style | {"marker": "none"}))
    if best is not None:
        axes.axvline(best, color=MARK.light, linestyle=":", linewidth=1.2, label=f"best epoch ({best})", zorder=1)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(color=GRID.light, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
    return figure, axes


def _matrix_axes(classes: int, cell: int, names: Sequence[str]) -> tuple[Figure, Axes, Axes]:
    """Make axes of one square a class, with room for the labels, and axes of the color bar.

    Room is measured in characters, because the font of the reader's browser is unknown.
    """
    size = 10 if classes <= COUNTED_CLASSES else 9
    letter = 0.62 * size
    longest = max(cell_len(name) for name in names) * letter
    upright = longest > cell - 4  # labels below would run into each other
    left, right, top = longest + 34, 74, 8
    bottom = (longest if upright else size) + 34
    side = classes * cell
    width, height = left + side + right, bottom + side + top
    figure = Figure(figsize=(width * POINT, height * POINT))
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    axes.set(xlim=(0, classes), ylim=(classes, 0))
    places = np.arange(classes) + 0.5
    # Without parse_math a class called "$5" would be read as a formula.
    axes.set_xticks(places, names, rotation=90 if upright else 0, fontsize=size, parse_math=False)
    axes.set_yticks(places, names, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    for line in range(1, classes):
        axes.axhline(line, color=GRID.light, linewidth=0.6, zorder=0.5)
        axes.axvline(line, color=GRID.light, linewidth=0.6, zorder=0.5)
    axes.spines[:].set_color(FRAME.light)
    # Fixed places, so that the words clear the longest label in any font.
    figure.text(10 / width, (bottom + side / 2) / height, "true class", rotation=90, ha="center", va="center")
    figure.text((left + side / 2) / width, 8 / height, "predicted class", ha="center", va="center")
    bar_height = min(side, 160)
    bar = figure.add_axes(
        ((left + side + 14) / width, (bottom + side - bar_height) / height, 9 / width, bar_height / height)
    )
    return figure, axes, bar


def _heated(x: float, y: float, width: float, height: float, share: float) -> Rectangle:
    """Return a cell for `share` (0 to 1) of a row; the square root makes one mistake in fifty visible."""
    opacity = MOST_OPAQUE * math.sqrt(share)
    return Rectangle(
        (x, y), width, height, facecolor=HEAT.light, alpha=opacity, edgecolor="none", antialiased=False, clip_on=False
    )


def _color_bar(axes: Axes) -> None:
    """Draw the color bar of shares. It is linear in opacity, which gives small shares more room."""
    steps = 48
    for step in range(steps):
        share = ((step + 0.5) / steps) ** 2
        axes.add_patch(_heated(0, step / steps, 1, 1 / steps, share))
    marked = (0, 0.1, 0.5, 1)
    axes.set_yticks([math.sqrt(share) for share in marked], [f"{share:.0%}" for share in marked])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set(xticks=[], xlim=(0, 1), ylim=(0, 1), ylabel="share of the row")
    axes.spines[:].set_color(FRAME.light)


def _finite(values: Iterable[float | None]) -> list[float]:
    """Return values as matplotlib takes them: a missing or infinite value becomes a gap."""
    return [value if value is not None and math.isfinite(value) else math.nan for value in values]


def _short(label: str) -> str:
    """Return at most sixteen cells of a label, with characters that XML cannot hold replaced.

    The middle is left out, so that names such as green_weeds_1 and green_weeds_2 stay apart.
    """
    text = printable(label)
    if cell_len(text) <= LABEL_CELLS:
        return text
    tail = set_cell_size(text[::-1], LABEL_TAIL)[::-1]
    return set_cell_size(text, LABEL_CELLS - LABEL_TAIL - 1).rstrip() + "…" + tail.lstrip()


def _best_words(best: int | None) -> str:
    return "" if best is None else f"; epoch {best} was the best"

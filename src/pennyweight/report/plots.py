"""Plots as inline SVG: learning curves and the confusion matrix. The same values give the same text, byte for byte.

Every plot is drawn black on white; the page puts it on a white card, so that it reads in light and dark alike.
"""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from rich.cells import cell_len, set_cell_size

from pennyweight.core.figures import number
from pennyweight.core.text import printable

__all__ = ["accuracy_curves", "as_svg", "confusion_matrix", "loss_curves", "own_settings"]

# Okabe and Ito's blue and vermilion: told apart by every kind of colour vision, and the lines differ in dash too.
TRAIN = {"color": "#0072B2", "linestyle": (0, (5, 2)), "marker": "o"}
VALIDATION = {"color": "#D55E00", "linestyle": "-", "marker": "s"}
GREY = "#5b5b5b"

COUNTED_CLASSES = 20  # with more classes than this a cell is too small for its count
LABEL_CELLS = 16  # longest label, in terminal cells (a Chinese character takes two)
LABEL_TAIL = 6  # cells kept of the end of a longer one
POINT = 1 / 72  # inches; one point of the figure becomes one CSS pixel of the page


@contextmanager
def own_settings() -> Iterator[None]:
    """Draws by matplotlib's defaults, whatever the user's own matplotlibrc or style says; text stays text."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pennyweight"})
        yield


@own_settings()
def loss_curves(epochs: Sequence[Mapping[str, Any]], *, best: int | None = None) -> str:
    """SVG of training and validation loss over the epochs (lines of metrics.jsonl), epoch `best` marked."""
    figure, axes = _curves(epochs, "train_loss", "val_loss", best)
    axes.set_ylabel("loss")
    return as_svg(figure, "loss", "Loss on training and validation pictures, by epoch" + _best_words(best))


@own_settings()
def accuracy_curves(epochs: Sequence[Mapping[str, Any]], *, best: int | None = None) -> str:
    """SVG of training and validation accuracy over the epochs (lines of metrics.jsonl), epoch `best` marked."""
    figure, axes = _curves(epochs, "train_accuracy", "val_accuracy", best)
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    return as_svg(figure, "accuracy", "Accuracy on training and validation pictures, by epoch" + _best_words(best))


@own_settings()
def confusion_matrix(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """SVG of a confusion matrix, rows = truth, columns = prediction; (classes, classes) of counts.

    A cell is darker the larger its share of its row; up to twenty classes it also holds its count.
    Empty cells are zero.
    Raises ValueError unless there is one row and one column for each label.
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
    figure, axes, colour_bar = _matrix_axes(classes, cell, names)

    # A square-root scale: a mistake of one in fifty is still seen.
    scale = ScalarMappable(PowerNorm(0.5, 0, 1), mpl.colormaps["Blues"])
    for row, column in np.argwhere(counts):
        share, count = shares[row, column], number(int(counts[row, column]))
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=scale.to_rgba(share), edgecolor="none", clip_on=False))
        if classes <= COUNTED_CLASSES:
            size = min(12 if classes <= 4 else 10, 1.5 * cell / len(count))
            ink = "white" if share > 0.3 else "black"
            axes.text(column + 0.5, row + 0.5, count, ha="center", va="center", fontsize=size, color=ink)
    bar = figure.colorbar(scale, cax=colour_bar, ticks=[0, 0.1, 0.5, 1], format=lambda value, _: f"{value:.0%}")
    bar.set_label("share of the row")
    return as_svg(
        figure,
        "confusion",
        f"Confusion matrix of {classes} classes, rows are the truth and columns the predictions; "
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
        axes.axvline(best, color=GREY, linestyle=":", linewidth=1.2, label=f"best epoch ({best})", zorder=1)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
    return figure, axes


def _matrix_axes(classes: int, cell: int, names: Sequence[str]) -> tuple[Figure, Axes, Axes]:
    """Axes of one square a class, with room for the labels: measured in characters, as the reader's font is unknown."""
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
        axes.axhline(line, color="#ececec", linewidth=0.6, zorder=0.5)
        axes.axvline(line, color="#ececec", linewidth=0.6, zorder=0.5)
    axes.spines[:].set_color("#b0b0b0")
    # Fixed places, so that the words clear the longest label in any font.
    figure.text(10 / width, (bottom + side / 2) / height, "truth", rotation=90, ha="center", va="center")
    figure.text((left + side / 2) / width, 8 / height, "prediction", ha="center", va="center")
    bar_height = min(side, 160)
    colour_bar = figure.add_axes(
        ((left + side + 14) / width, (bottom + side - bar_height) / height, 9 / width, bar_height / height)
    )
    return figure, axes, colour_bar


def as_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an `<svg>` element for an HTML page; its ids begin with `name`, so that plots can share a page."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # The reader's browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<style type=\"text/css\">\*", f'<style type="text/css">#{name}-figure_1 *', text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, sans-serif", text)
    width, height = figure.get_size_inches() / POINT
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{html.escape(description)}" viewBox="0 0 {width:g} {height:g}" '
        # On a narrow page a matrix may shrink to four fifths; below that the page scrolls it in its box.
        f'width="{width:.0f}" style="--legible: {0.8 * width:.0f}px">'
    )
    return opening + text[text.index(">") + 1 :].strip()


def _finite(values: Iterable[float | None]) -> list[float]:
    """Values as matplotlib wants them: what is missing or infinite becomes a gap."""
    return [value if value is not None and math.isfinite(value) else math.nan for value in values]


def _short(label: str) -> str:
    """At most sixteen cells of a label, with what XML cannot hold replaced.

    The middle goes, so that names which begin alike, such as green_weeds_1 and green_weeds_2, stay apart.
    """
    text = printable(label)
    if cell_len(text) <= LABEL_CELLS:
        return text
    tail = set_cell_size(text[::-1], LABEL_TAIL)[::-1]
    return set_cell_size(text, LABEL_CELLS - LABEL_TAIL - 1).rstrip() + "…" + tail.lstrip()


def _best_words(best: int | None) -> str:
    return "" if best is None else f"; epoch {best} was the best"

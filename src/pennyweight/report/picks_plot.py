"""Plot of a search as inline SVG: accuracy against milliseconds, with the front that no other candidate beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pennyweight.core.figures import number
from pennyweight.report.palette import BLUE, GRAY, GRID, MARK, VERMILION
from pennyweight.report.svg import POINT, as_svg, own_settings

__all__ = ["picks_scatter"]

KINDS = (("exceeds", "over a limit", GRAY), ("unsure", "may be over", VERMILION), ("fits", "fits", BLUE))
"""Verdict, its words in the legend, and its color; the last is drawn on top."""
WIDTH, HEIGHT = 480, 340


@own_settings()
def picks_scatter(
    rows: Sequence[Mapping[str, Any]],
    front: Sequence[Mapping[str, Any]],
    *,
    limit_ms: float | None,
    name: str = "picks",
) -> str:
    """Draw candidates by milliseconds and accuracy, dots where both were measured here, else rings, as SVG.

    Args:
        rows: Candidates with `ms`, `ms_is`, `accuracy` (0 to 1) and `verdict`.
        front: Those that no other one beats, the most accurate first.
        limit_ms: Milliseconds that the budget allows; None without such a limit.
        name: Begin of the ids, unique on the page.
    """
    figure = Figure(figsize=(WIDTH * POINT, HEIGHT * POINT))
    axes = figure.add_axes((0.115, 0.13, 0.87, 0.76))
    axes.grid(color=GRID.light, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    known = [row for row in rows if row["accuracy"] is not None]
    for verdict, label, color in KINDS:
        mine = [row for row in known if row["verdict"] == verdict]
        if mine:
            _points(axes, mine, f"{label} ({number(len(mine))})", color.light)
    if front:
        ms, accuracy = [row["ms"] for row in front], [row["accuracy"] for row in front]
        axes.plot(ms, accuracy, color=BLUE.light, linewidth=1.4, label="front")
    axes.set(xscale="log", xlabel="milliseconds of one call", ylabel="accuracy")
    if limit_ms is not None:
        axes.axvline(limit_ms, color=MARK.light, linewidth=1, linestyle="--", label=f"limit, {number(limit_ms)} ms")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, borderaxespad=0.2, fontsize=8)
    return as_svg(figure, name, f"{len(known)} candidates by milliseconds and accuracy")


def _points(axes: Axes, rows: Sequence[Mapping[str, Any]], label: str, color: str) -> None:
    """Draw candidates of one verdict; a ring is a predicted time."""
    inside = [color if row["ms_is"] == "measured" else "none" for row in rows]
    axes.scatter(
        [row["ms"] for row in rows],
        [row["accuracy"] for row in rows],
        s=14,
        color=color,
        facecolors=inside,
        linewidths=0.8,
        label=label,
    )

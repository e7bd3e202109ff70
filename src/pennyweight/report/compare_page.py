"""Comparison of networks as one HTML page: the table, accuracy against cost, and the difference of every pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pennyweight.report.palette import BLUE, GRAY, GRID
from pennyweight.report.paper_table import Cell
from pennyweight.report.render import render
from pennyweight.report.svg import POINT, as_svg, own_settings

__all__ = ["compare_page", "pareto"]

WIDTH, HEIGHT = 720, 400
LEFT = 0.7
"""Share of the axis from which on a name stands to the left of its point."""


def compare_page(
    result: Mapping[str, Any], headings: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str]
) -> str:
    """Return a comparison as a page.

    Args:
        result: Comparison as `Comparison.to_dict` gives it.
        headings: Headings of the table.
        rows: Rows of the table.
        notes: Sentences on what the figures mean.
    """
    return render(
        "compare.html",
        result=result,
        headings=headings,
        rows=rows,
        notes=notes,
        plot=_scatter(result["networks"]),
        cost="milliseconds" if _is_timed(result["networks"]) else "MACs",
    )


def pareto(networks: Sequence[Mapping[str, Any]], cost: str) -> list[Mapping[str, Any]]:
    """Return the networks that no other one beats in accuracy and cost, the cheapest first."""
    front: list[Mapping[str, Any]] = []
    for network in sorted(networks, key=lambda each: (each[cost], -each["accuracy"])):
        if not front or network["accuracy"] > front[-1]["accuracy"]:
            front.append(network)
    return front


def _is_timed(networks: Sequence[Mapping[str, Any]]) -> bool:
    return all(network["ms"] is not None for network in networks)


@own_settings()
def _scatter(networks: Sequence[Mapping[str, Any]]) -> str:
    """Draw the networks by cost and accuracy with their intervals, and the Pareto front, as SVG."""
    cost, words, unit = ("ms", "milliseconds of one call", 1) if _is_timed(networks) else ("macs", "MACs, M", 1e6)
    figure = Figure(figsize=(WIDTH * POINT, HEIGHT * POINT))
    axes = figure.add_axes((0.09, 0.12, 0.89, 0.84))
    axes.grid(color=GRID.light, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    front = pareto(networks, cost)
    least, most = min(each[cost] for each in networks), max(each[cost] for each in networks)
    axes.plot([each[cost] for each in front], [each["accuracy"] for each in front], color=BLUE.light, label="front")
    for each in networks:
        color = (BLUE if each in front else GRAY).light
        low, high = each["accuracy_interval"]
        axes.vlines(each[cost], low, high, color=color, linewidth=1)
        axes.scatter([each[cost]], [each["accuracy"]], s=18, color=color)
        left = math.log(each[cost] / least) > LEFT * math.log(most / least)
        axes.annotate(
            each["name"], (each[cost], each["accuracy"]), (-5 if left else 5, 5), textcoords="offset points",
            ha="right" if left else "left", fontsize=8,
        )  # fmt: skip
    axes.set(xscale="log", xlabel=words, ylabel="accuracy")
    axes.margins(x=0.25)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return as_svg(figure, "pareto", f"{len(networks)} networks by {words} and accuracy")

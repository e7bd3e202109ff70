"""Plots of cost as inline SVG: the roofline, bars by layer, networks by MACs and time, bars of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter, MaxNLocator

from pennyweight.core.figures import number
from pennyweight.core.text import printable
from pennyweight.report.palette import BLUE, GRAY, GRID, NAVY, PALE, SKY, VERMILION
from pennyweight.report.svg import POINT, as_svg, own_settings

__all__ = ["MOST_BARS", "engine_bars", "experiment_bars", "layer_bars", "networks_scatter", "roofline_plot"]

BOUNDS = {
    "compute": VERMILION.light,
    "L1": PALE.light,
    "L2": SKY.light,
    "L3": BLUE.light,
    "memory": NAVY.light,
    "overhead": GRAY.light,
}
"""Limit that dominates the time of a layer -> its color."""
WIDTH = 440
"""Points across a plot, which a phone shows at four fifths and a wide page larger."""
LETTER = 5.2
"""Width in points of a letter in the names next to bars."""
LINE_LETTERS = 14
"""Letters in a line of the names under bars."""
LEGEND_POINT = 24
"""Square points of a point in a legend."""
MOST_BARS = 40
"""Most layers that a plot shows as bars."""


@own_settings()
def roofline_plot(layers: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], *, name: str = "roofline") -> str:
    """Draw the roofline of a machine, and each layer by arithmetic intensity and predicted rate, as SVG.

    A layer has `ops`, `bytes_read`, `bytes_written`, `predicted_ms` and `bound`; a larger point takes longer.
    """
    figure, axes = _axes(WIDTH, 380, (0.13, 0.12, 0.84, 0.73))
    peak = 2 * limits["macs_per_s"]["float32"] / 1e9
    span = np.logspace(-2, 3.5, 200)
    for level, bandwidth in limits["bytes_per_s"].items():
        roof = np.minimum(peak, span * bandwidth / 1e9)
        label = f"{level}, {number(bandwidth / 1e9)} GB/s"
        axes.plot(span, roof, color=BOUNDS.get(level, GRAY.light), linewidth=1.1, label=label)
    axes.axhline(peak, color=GRAY.light, linewidth=0.8, linestyle=":", label=f"{number(peak)} G operations/s")
    shown = [layer for layer in layers if layer["ops"] and layer["predicted_ms"] > 0]
    longest = max((layer["predicted_ms"] for layer in shown), default=1.0)
    for bound in dict.fromkeys(layer["bound"] for layer in shown):
        mine = [layer for layer in shown if layer["bound"] == bound]
        axes.scatter(
            [layer["ops"] / max(1, layer["bytes_read"] + layer["bytes_written"]) for layer in mine],
            [layer["ops"] / layer["predicted_ms"] / 1e6 for layer in mine],
            s=[8 + 90 * layer["predicted_ms"] / longest for layer in mine],
            color=BOUNDS.get(bound, GRAY.light),
            alpha=0.75,
            linewidths=0,
            label=f"bound by {bound}",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity (operations per byte)",
        ylabel="G operations per second",
    )
    axes.set_ylim(bottom=max(1e-3, axes.get_ylim()[0]), top=4 * peak)
    _legend(axes, columns=3)
    return as_svg(figure, name, f"Roofline of the machine with {len(shown)} layers")


@own_settings()
def layer_bars(
    names: Sequence[str], values: Sequence[float], *, unit: str, bounds: Sequence[str] | None = None, name: str
) -> str:
    """Draw a bar for each of the largest layers, in the network's order, as SVG; `name` begins the ids of the plot.

    With `bounds`, the color of a bar shows the limit that dominates its layer's time, such as memory.
    """
    order = sorted(sorted(range(len(values)), key=lambda place: -values[place])[:MOST_BARS])
    shown = [_short(names[place]) for place in order]
    top = 44 if bounds else 12
    height, left = 34 + top + 15 * len(order), 14 + LETTER * max(map(len, shown), default=0)
    figure, axes = _axes(WIDTH, height, (left / WIDTH, 34 / height, 0.96 - left / WIDTH, 1 - (34 + top) / height))
    paint = [BOUNDS.get(bounds[place], GRAY.light) if bounds else BLUE.light for place in order]
    axes.barh(range(len(order)), [values[place] for place in order], color=paint, height=0.75)
    if bounds:
        met = [bound for bound in BOUNDS if bound in {bounds[place] for place in order}]
        handles = [Patch(color=BOUNDS[bound], label=f"bound by {bound}") for bound in met]
        _legend(axes, columns=3, begin=(10 - left) / (0.96 * WIDTH - left), handles=handles)
    axes.set_yticks(range(len(order)), shown, fontsize=8, parse_math=False)
    axes.set(ylim=(len(order) - 0.4, -0.6), xlabel=unit)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    return as_svg(figure, name, f"{unit} of the {len(order)} largest of {len(values)} layers")


@own_settings()
def networks_scatter(networks: Sequence[Mapping[str, Any]]) -> str:
    """Draw networks by MACs and milliseconds, measured where they were measured, else predicted, as SVG."""
    figure, axes = _axes(WIDTH, 360, (0.14, 0.13, 0.83, 0.83))
    points = [
        (n["macs"] / 1e6, n["predicted_ms"] if n.get("measured_ms") is None else n["measured_ms"]) for n in networks
    ]
    for network, (macs, ms) in zip(networks, points, strict=True):
        inside = BLUE.light if network.get("measured_ms") is not None else "none"
        axes.scatter([macs], [ms], s=36, color=BLUE.light, facecolors=inside)
    found = {n.get("measured_ms") is not None for n in networks}
    kind = (
        "measured" if found == {True} else "predicted" if found == {False} else "measured (dots) or predicted (rings)"
    )
    axes.set(xscale="log", yscale="log", xlabel="million MACs", ylabel=f"milliseconds, {kind}")
    axes.margins(0.18)
    _name_points(axes, [_short(network["name"]) for network in networks], points)
    for axis in (axes.xaxis, axes.yaxis):  # 14, not 1.4 times 10 to the 1
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter())
    return as_svg(figure, "networks", f"{len(networks)} networks by MACs and milliseconds")


@own_settings()
def experiment_bars(
    title: str, labels: Sequence[str], ms: Sequence[float], quartiles: Sequence[Sequence[float]]
) -> str:
    """Draw one experiment as SVG: a bar from zero for each row's median, an error bar for its quartiles."""
    figure, axes = _axes(380, 210, (0.13, 0.15, 0.84, 0.8))
    spread = np.abs(np.asarray(quartiles).T - np.asarray(ms))
    axes.bar(
        range(len(ms)),
        ms,
        color=BLUE.light,
        width=0.65,
        yerr=spread,
        error_kw={"elinewidth": 1, "capsize": 3},
    )
    wrapped = ["\n".join(wrap(printable(label), LINE_LETTERS)) for label in labels]
    axes.set_xticks(range(len(ms)), wrapped, fontsize=8, parse_math=False)
    axes.set_ylabel("milliseconds")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", visible=False)
    return as_svg(figure, "experiment-" + "".join(filter(str.isalnum, title[:8])).lower(), title)


@own_settings()
def engine_bars(
    labels: Sequence[str], ms: Sequence[float], spreads: Sequence[Sequence[float]], *, name: str, title: str
) -> str:
    """Draw a bar for the median of each engine, from the top, and an error bar for its spread, as SVG."""
    shown = [_short(label) for label in labels]
    height, left = 46 + 18 * len(ms), 14 + LETTER * max(map(len, shown), default=0)
    figure, axes = _axes(WIDTH, height, (left / WIDTH, 34 / height, 0.96 - left / WIDTH, 1 - 46 / height))
    error = np.abs(np.asarray(spreads).T - np.asarray(ms))
    axes.barh(range(len(ms)), ms, color=BLUE.light, height=0.7, xerr=error, error_kw={"elinewidth": 1, "capsize": 3})
    axes.set_yticks(range(len(ms)), shown, fontsize=8, parse_math=False)
    axes.set(ylim=(len(ms) - 0.4, -0.6), xlabel="milliseconds of one picture")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    return as_svg(figure, name, title)


def _name_points(axes: Axes, names: Sequence[str], points: Sequence[tuple[float, float]]) -> None:
    """Write each name next to its point, toward the middle, on the nearest line that is free."""
    axes.autoscale_view()  # else the limits are settled when it is drawn
    places = [tuple(place) for place in axes.transData.transform(points) * 72 / axes.figure.dpi]  # in points
    middle = (min(x for x, _ in places) + max(x for x, _ in places)) / 2
    taken = [(x - 4, x + 4, y - 3) for x, y in places]  # begin, end and base line
    for name, point, (x, y) in zip(names, points, places, strict=True):
        left, length = x > middle, LETTER * len(name)
        begin = x - 5 - length if left else x + 5
        for rise in (4, -11, 15, -22, 26, -33):
            row = (begin, begin + length, y + rise)
            if all(row[1] < other[0] or other[1] < row[0] or abs(row[2] - other[2]) > 8 for other in taken):
                break
        taken.append(row)
        axes.annotate(
            name, point, xytext=(-5 if left else 5, rise),
            textcoords="offset points", ha="right" if left else "left", fontsize=8, parse_math=False,
        )  # fmt: skip


def _axes(width: float, height: float, place: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width * POINT, height * POINT))
    axes = figure.add_axes(place)
    axes.grid(color=GRID.light, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axes: Axes, *, columns: int, begin: float = -0.01, handles: Sequence[Patch] | None = None) -> None:
    """Draw the legend above the axes, beginning at `begin`, in widths of the axes."""
    legend = axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(begin, 1.0),
        ncols=columns,
        frameon=False,
        borderaxespad=0.2,
        fontsize=8,
    )
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):  # points of a plot have many sizes, those of its legend one
            handle.set_sizes([LEGEND_POINT])


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= 34 else f"…{text[-33:]}"

"""Plots of what networks cost, as inline SVG: the roofline, bars by layer, networks as points, experiments as bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from pennyweight.report.plots import as_svg, own_settings

__all__ = ["bound_colour", "experiment_bars", "layer_bars", "networks_scatter", "roofline_plot"]

# Okabe and Ito's colours, told apart by every kind of colour vision.
BOUNDS = {
    "compute": "#D55E00",
    "L1": "#9ad1f0",
    "L2": "#56B4E9",
    "L3": "#0072B2",
    "memory": "#1b2a63",
    "overhead": "#999999",
}
UNKNOWN = "#777777"
BLUE = "#0072B2"
POINT = 1 / 72
GRID = "#e4e4e4"
MOST_BARS = 40


def bound_colour(bound: str) -> str:
    """The colour of what bounds a layer."""
    return BOUNDS.get(bound, UNKNOWN)


@own_settings()
def roofline_plot(layers: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], *, name: str = "roofline") -> str:
    """SVG of the machine's roofs, and each layer's arithmetic intensity against the rate that it is predicted to reach.

    A layer has `ops`, `bytes_read`, `bytes_written`, `predicted_ms` and `bound`; a larger point takes longer.
    """
    figure, axes = _axes(520, 380, (0.13, 0.12, 0.84, 0.72))
    peak = 2 * limits["macs_per_s"]["float32"] / 1e9
    span = np.logspace(-2, 3.5, 200)
    for level, bandwidth in limits["bytes_per_s"].items():
        roof = np.minimum(peak, span * bandwidth / 1e9)
        label = f"{level}, {bandwidth / 1e9:.0f} GB/s"
        axes.plot(span, roof, color=BOUNDS.get(level, UNKNOWN), linewidth=1.1, label=label)
    axes.annotate(f"float32: {peak:.0f} G operations/s", (40, peak * 1.12), fontsize=8)
    shown = [layer for layer in layers if layer["ops"] and layer["predicted_ms"] > 0]
    longest = max((layer["predicted_ms"] for layer in shown), default=1.0)
    for bound in dict.fromkeys(layer["bound"] for layer in shown):
        mine = [layer for layer in shown if layer["bound"] == bound]
        axes.scatter(
            [layer["ops"] / max(1, layer["bytes_read"] + layer["bytes_written"]) for layer in mine],
            [layer["ops"] / layer["predicted_ms"] / 1e6 for layer in mine],
            s=[8 + 90 * layer["predicted_ms"] / longest for layer in mine],
            color=bound_colour(bound),
            alpha=0.75,
            linewidths=0,
            label=f"bound by {bound}",
        )
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="G operations per second")
    axes.set_ylim(bottom=max(1e-3, axes.get_ylim()[0]), top=4 * peak)
    _legend(axes, columns=4)
    return as_svg(figure, name, f"Roofline of the machine with {len(shown)} layers")


@own_settings()
def layer_bars(
    names: Sequence[str], values: Sequence[float], *, unit: str, colours: Sequence[str] | None = None, name: str
) -> str:
    """SVG of a bar for each of the largest layers, in the network's order; `name` begins the ids of the plot."""
    order = sorted(sorted(range(len(values)), key=lambda place: -values[place])[:MOST_BARS])
    height = 46 + 15 * len(order)
    figure, axes = _axes(520, height, (0.36, 34 / height, 0.6, 1 - 44 / height))
    paint = [colours[place] if colours else BLUE for place in order]
    axes.barh(range(len(order)), [values[place] for place in order], color=paint, height=0.75)
    axes.set_yticks(range(len(order)), [_short(names[place]) for place in order], fontsize=8, parse_math=False)
    axes.set(ylim=(len(order) - 0.4, -0.6), xlabel=unit)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    return as_svg(figure, name, f"{unit} of the {len(order)} largest of {len(values)} layers")


@own_settings()
def networks_scatter(networks: Sequence[Mapping[str, Any]]) -> str:
    """SVG of networks by multiply-accumulates and milliseconds, measured where they were, else predicted."""
    figure, axes = _axes(520, 360, (0.13, 0.13, 0.84, 0.83))
    middle = math.sqrt(min(n["macs"] for n in networks) * max(n["macs"] for n in networks)) / 1e6
    for network in networks:
        measured = network.get("measured_ms")
        ms = measured if measured is not None else network["predicted_ms"]
        axes.scatter(
            [network["macs"] / 1e6], [ms], s=36, color=BLUE, facecolors=BLUE if measured is not None else "none"
        )
        left = network["macs"] / 1e6 > middle  # names stand towards the middle, where there is room
        axes.annotate(
            _short(network["name"]), (network["macs"] / 1e6, ms), xytext=(-5 if left else 5, 4),
            textcoords="offset points", ha="right" if left else "left", fontsize=8, parse_math=False,
        )  # fmt: skip
    kind = "measured" if all(n.get("measured_ms") is not None for n in networks) else "predicted (rings) or measured"
    axes.set(xscale="log", yscale="log", xlabel="million MACs", ylabel=f"milliseconds, {kind}")
    axes.margins(0.18)
    for axis in (axes.xaxis, axes.yaxis):  # 14, not 1.4 times 10 to the 1
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter())
    return as_svg(figure, "networks", f"{len(networks)} networks by multiply-accumulates and milliseconds")


@own_settings()
def experiment_bars(
    title: str, labels: Sequence[str], ms: Sequence[float], quartiles: Sequence[Sequence[float]]
) -> str:
    """SVG of one experiment: a bar for each row's milliseconds with its quartiles, from zero."""
    figure, axes = _axes(380, 210, (0.13, 0.13, 0.84, 0.82))
    spread = np.abs(np.asarray(quartiles).T - np.asarray(ms))
    axes.bar(range(len(ms)), ms, color=BLUE, width=0.65, yerr=spread, error_kw={"elinewidth": 1, "capsize": 3})
    axes.set_xticks(range(len(ms)), labels, fontsize=8, parse_math=False)
    axes.set_ylabel("milliseconds")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", visible=False)
    return as_svg(figure, "experiment-" + "".join(filter(str.isalnum, title[:8])).lower(), title)


def _axes(width: float, height: float, place: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width * POINT, height * POINT))
    axes = figure.add_axes(place)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axes: Axes, *, columns: int) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, frameon=False, borderaxespad=0.2, fontsize=8
    )


def _short(name: str) -> str:
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return text if len(text) <= 34 else f"…{text[-33:]}"

"""Cost of networks as one HTML page: totals, roofline, traffic and time by layer, guidelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.report import cost_plots
from pennyweight.report.render import render

__all__ = ["cost_page"]

MOST_FINDINGS = 30
ITSELF = "(itself)"
"""Name of the row for operators and parameters of the network outside its modules."""


def cost_page(
    networks: Sequence[Mapping[str, Any]],
    *,
    limits: Mapping[str, Any] | None,
    machine: Sequence[str],
    meanings: Mapping[str, str],
    by: str = "layer",
    comparison: Sequence[Sequence[str]] = (),
    measured: str = "",
) -> str:
    """Return the cost of one network, or of several in comparison, as a page.

    Args:
        networks: For each its `name`; its `cost`, as `Cost.to_dict` gives it; `times`, a row for each of its layers
            with `predicted_ms` and `bound`, or none; `rows` of its table, layers or what `by` names; `findings`;
            `predicted_ms`; `measured_ms`; and `facts`, pairs of text.
        limits: Limits of the machine whose profile predicted the times; None without a profile.
        machine: Lines about the machine.
        meanings: Meaning of the measured value of each guideline.
        by: Kind of the rows: layer, stage, depth or total.
        comparison: Headings, then a row of text for each network; none for a single network.
        measured: Line about the measurement; empty without one.
    """
    timed = [
        network for network in networks if network["predicted_ms"] is not None or network["measured_ms"] is not None
    ]
    counted = [network for network in timed if network["cost"]["macs"] and not network["cost"]["uncounted"]]
    plotted = [{**network, "macs": network["cost"]["macs"]} for network in counted]
    costs = [(network["name"], network["cost"]) for network in timed]
    return render(
        "cost.html",
        title=", ".join(network["name"] for network in networks),
        networks=[
            {
                **network,
                "plots": _plots(place, network, limits),
                "findings": network["findings"][:MOST_FINDINGS],
                "found": len(network["findings"]),
            }
            for place, network in enumerate(networks)
        ],
        by=by,
        itself=ITSELF,
        comparison=comparison,
        measured=measured,
        scatter=cost_plots.networks_scatter(plotted) if len(plotted) > 1 else None,
        left_out={
            "without MACs": [name for name, cost in costs if not cost["macs"] and not cost["uncounted"]],
            "with uncounted operators": [name for name, cost in costs if cost["uncounted"]],
        },
        machine=machine,
        meanings=meanings,
    )


def _plots(place: int, network: Mapping[str, Any], limits: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Draw the plots of a network; return pairs of a caption and a plot."""
    layers, times = network["cost"]["layers"], network["times"]
    names = [layer["name"] or ITSELF for layer in layers]
    moved = [(layer["bytes_read"] + layer["bytes_written"]) / 1e6 for layer in layers]
    most = cost_plots.MOST_BARS
    plots = []
    if times and limits:
        joined = [{**layer, **row} for layer, row in zip(layers, times, strict=True)]
        caption = "Roofline: limits of the machine (lines) and layers with arithmetic (points; larger ones take longer)"
        plots.append((caption, cost_plots.roofline_plot(joined, limits, name=f"roofline-{place}")))
    shown = "every layer" if len(layers) <= most else f"the {most} of {len(layers)} layers with the most traffic"
    bars = cost_plots.layer_bars(names, moved, unit="MB read and written", name=f"traffic-{place}")
    plots.append((f"Memory traffic: {shown}", bars))
    if times:
        bounds, predicted = ([row[key] for row in times] for key in ("bound", "predicted_ms"))
        shown = "every layer" if len(layers) <= most else f"the {most} slowest of {len(layers)} layers"
        bars = cost_plots.layer_bars(names, predicted, unit="predicted ms", bounds=bounds, name=f"time-{place}")
        plots.append((f"Predicted time: {shown}", bars))
    return plots

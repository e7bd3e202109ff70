"""What networks cost as one HTML page that holds all it shows: roofline, traffic and time by layer, guidelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pennyweight.report import cost_plots
from pennyweight.report.page import environment

__all__ = ["cost_page", "experiments_page"]

MOST_FINDINGS = 30


def cost_page(networks: Sequence[Mapping[str, Any]], *, limits: Mapping[str, Any] | None, profile: str = "") -> str:
    """The page as text, to be written as UTF-8.

    Each network has `name`, `cost` (as its JSON keeps it), `times` (a row for each of its layers with `predicted_ms`
    and `bound`, or none), `findings`, `predicted_ms`, `measured_ms` and `facts` (pairs of words). `limits` are those of
    the machine that predicted, `profile` a line about it.
    """
    timed = [
        network for network in networks if network["predicted_ms"] is not None or network["measured_ms"] is not None
    ]
    scatter = None
    if len(timed) > 1:
        scatter = cost_plots.networks_scatter([{**network, "macs": network["cost"]["macs"]} for network in timed])
    return (
        environment()
        .get_template("cost_page.html")
        .render(
            title=", ".join(network["name"] for network in networks),
            networks=[
                {**network, "plots": _plots(place, network, limits), "findings": network["findings"][:MOST_FINDINGS]}
                for place, network in enumerate(networks)
            ],
            scatter=scatter,
            profile=profile,
            style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        )
    )


def experiments_page(tables: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], machine: str) -> str:
    """The experiments of `lab guidelines` as a page: a plot and a table for each title and its rows."""
    return (
        environment()
        .get_template("experiments_page.html")
        .render(
            tables=[
                {
                    "title": title,
                    "rows": rows,
                    "plot": cost_plots.experiment_bars(
                        title, [r["label"] for r in rows], [r["ms"] for r in rows], [r["quartiles_ms"] for r in rows]
                    ),
                }
                for title, rows in tables
            ],
            machine=machine,
            style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        )
    )


def _plots(place: int, network: Mapping[str, Any], limits: Mapping[str, Any] | None) -> list[str]:
    layers, times = network["cost"]["layers"], network["times"]
    names = [layer["name"] or layer["type"] for layer in layers]
    moved = [(layer["bytes_read"] + layer["bytes_written"]) / 1e6 for layer in layers]
    plots = [cost_plots.layer_bars(names, moved, unit="MB read and written", name=f"traffic-{place}")]
    if times:
        colours = [cost_plots.bound_colour(row["bound"]) for row in times]
        predicted = [row["predicted_ms"] for row in times]
        plots.append(
            cost_plots.layer_bars(names, predicted, unit="predicted ms", colours=colours, name=f"time-{place}")
        )
    if times and limits:
        joined = [{**layer, **row} for layer, row in zip(layers, times, strict=True)]
        plots.insert(0, cost_plots.roofline_plot(joined, limits, name=f"roofline-{place}"))
    return plots

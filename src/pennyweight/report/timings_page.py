"""Timings of engines as one HTML page: a plot and a table for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.report.cost_plots import experiment_bars
from pennyweight.report.render import render

__all__ = ["timings_page"]


def timings_page(rows: Sequence[Mapping[str, Any]], conditions: Sequence[str]) -> str:
    """Return the timings as a page.

    Args:
        rows: Rows of `Timings`, as dictionaries.
        conditions: Lines on the measurement and the machine.
    """
    names = dict.fromkeys(row["network"] for row in rows)
    networks = [{"name": name, "rows": [row for row in rows if row["network"] == name]} for name in names]
    for network in networks:
        network["plot"] = _plot(network["name"], network["rows"])
    return render("timings.html", networks=networks, conditions=conditions)


def _plot(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the median time of one picture by engine, threads and batch; bars of error from the minimum to the 90%."""
    labels = [f"{row['engine']}, {row['threads']} threads, batch {row['batch']}" for row in rows]
    each = [row["median_ms"] / row["batch"] for row in rows]
    spreads = [(row["minimum_ms"] / row["batch"], row["p90_ms"] / row["batch"]) for row in rows]
    return experiment_bars(name, labels, each, spreads)

"""Timings of engines as one HTML page: a plot and a table for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.report.cost_plots import engine_bars
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
    for place, network in enumerate(networks):
        network["plot"] = _plot(place, network["name"], network["rows"])
    return render("timings.html", networks=networks, conditions=conditions)


def _plot(place: int, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the median time of one picture by engine, threads and batch; bars of error from the minimum to the 90%."""
    labels = [f"{_short(row['engine'])}, {row['threads']} × {row['batch']}" for row in rows]
    each = [row["median_ms"] / row["batch"] for row in rows]
    spreads = [(row["minimum_ms"] / row["batch"], row["p90_ms"] / row["batch"]) for row in rows]
    return engine_bars(labels, each, spreads, name=f"engines-{place}", title=f"Engines on {name}")


def _short(engine: str) -> str:
    """Return "torch eager" of "torch 2.14.1, eager", and "openvino" of "openvino 2026.4.1"."""
    name, _, form = engine.partition(",")
    return f"{name.split()[0]}{form}"

"""Experiments of `lab guidelines` as one HTML page: a plot and a table for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.report.cost_plots import experiment_bars
from pennyweight.report.render import render

__all__ = ["experiments_page"]


def experiments_page(tables: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], about: Sequence[str]) -> str:
    """Return the experiments as a page.

    Args:
        tables: Title of each experiment and its rows; a row has `label`, `macs`, `traffic_bytes`, `ms`, `quartiles_ms`.
        about: Lines on the measurement and the machine.
    """
    drawn = [{"title": title, "rows": rows, "plot": _plot(title, rows)} for title, rows in tables]
    return render("experiments.html", tables=drawn, about=about)


def _plot(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    labels, ms, quartiles_ms = ([row[key] for row in rows] for key in ("label", "ms", "quartiles_ms"))
    return experiment_bars(title, labels, ms, quartiles_ms)

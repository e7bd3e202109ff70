"""What networks cost as one HTML page that holds all it shows: roofline, traffic and time by layer, guidelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pennyweight.report import cost_plots
from pennyweight.report.page import environment

__all__ = ["cost_page", "experiments_page"]

MOST_FINDINGS = 30
ITSELF = "(itself)"  # what a network does outside of its modules


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
    """The page as text, to be written as UTF-8.

    Each network has `name`, `cost` (as its JSON keeps it), `times` (a row for each of its layers with `predicted_ms`
    and `bound`, or none), `rows` (what its table shows, each a layer or what `by` says), `findings`, `predicted_ms`,
    `measured_ms` and `facts` (pairs of words). `limits` are those of the machine that predicted, `machine` lines about
    it. `comparison` has a row of words for each thing compared, `measured` says how; `meanings` what a guideline finds.
    """
    timed = [
        network for network in networks if network["predicted_ms"] is not None or network["measured_ms"] is not None
    ]
    whole = [network for network in timed if network["cost"]["macs"] and not network["cost"]["uncounted"]]
    costs = [(network["name"], network["cost"]) for network in timed]
    drawn = [{**network, "macs": network["cost"]["macs"]} for network in whole]
    return (
        environment()
        .get_template("cost_page.html")
        .render(
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
            scatter=cost_plots.networks_scatter(drawn) if len(drawn) > 1 else None,
            left_out={
                "having no MACs": [name for name, cost in costs if not cost["macs"] and not cost["uncounted"]],
                "having operators that were not counted": [name for name, cost in costs if cost["uncounted"]],
            },
            machine=machine,
            meanings=meanings,
            style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        )
    )


def experiments_page(tables: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], about: Sequence[str]) -> str:
    """The experiments of `lab guidelines` as a page: a plot and a table for each title and its rows.

    `about` are lines on how and where they were measured.
    """
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
            about=about,
            style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        )
    )


def _plots(place: int, network: Mapping[str, Any], limits: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Pairs of a caption and its plot."""
    layers, times = network["cost"]["layers"], network["times"]
    names = [layer["name"] or ITSELF for layer in layers]
    moved = [(layer["bytes_read"] + layer["bytes_written"]) / 1e6 for layer in layers]
    whole = len(layers) <= cost_plots.MOST_BARS
    which = "every layer" if whole else f"the {cost_plots.MOST_BARS} of {len(layers)} layers with the most"
    plots = []
    if times and limits:
        joined = [{**layer, **row} for layer, row in zip(layers, times, strict=True)]
        caption = (
            "Roofline: what the machine allows (lines), and each layer that computes, larger where it takes longer"
        )
        plots.append((caption, cost_plots.roofline_plot(joined, limits, name=f"roofline-{place}")))
    plots.append(
        (f"Traffic: {which}", cost_plots.layer_bars(names, moved, unit="MB read and written", name=f"traffic-{place}"))
    )
    if times:
        bounds, predicted = ([row[key] for row in times] for key in ("bound", "predicted_ms"))
        bars = cost_plots.layer_bars(names, predicted, unit="predicted ms", bounds=bounds, name=f"time-{place}")
        plots.append((f"Time: {which}", bars))
    return plots

"""Search for a network within a budget as one HTML page: what fits, the front, and what each limit rules out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.core.budget import LIMITS, Budget
from pennyweight.core.figures import MISSING, number, several, share
from pennyweight.report.picks_plot import picks_scatter
from pennyweight.report.render import render

__all__ = ["picks_page"]

Row = Mapping[str, Any]


def picks_page(result: Mapping[str, Any], *, reasons: Sequence[str], conditions: Sequence[str]) -> str:
    """Return a search as a page.

    Args:
        result: Result as `Picks.to_dict` gives it.
        reasons: Limits that each of the nearest candidates breaks; empty where something fits.
        conditions: Lines on the engine, the machine and the measurement.
    """
    rows: list[Row] = list(result["candidates"])
    by_name = {row["name"]: row for row in (*rows, *result["tried"])}
    front = [by_name[name] for name in result["front"]]
    return render(
        "picks.html",
        result=result,
        budget=list(Budget(**result["budget"]).described()),
        titles={name: limit.title for name, limit in LIMITS.items()},
        best=by_name.get(result["best"] or ""),
        front=front,
        fitting=sum(row["verdict"] == "fits" for row in rows),
        nearest=[by_name[name] for name in result["nearest"]],
        reasons=reasons,
        plot=picks_scatter(list(result["tried"]) or rows, front, limit_ms=result["budget"].get("ms")),
        sureness=_sureness(result, by_name.get(result["best"] or "")),
        accuracy=_accuracy,
        conditions=conditions,
    )


def _accuracy(row: Row) -> str:
    """Return an accuracy with its error or interval, as the table shows it."""
    if row["accuracy"] is None:
        return MISSING
    if interval := row.get("accuracy_interval"):
        return f"{share(row['accuracy'])} ({share(interval[0])} to {share(interval[1])})"
    within = f" ± {100 * row['accuracy_error']:.1f}" if row["accuracy_error"] else ""
    return f"{share(row['accuracy'])}{within} {row['accuracy_is']}"


def _sureness(result: Mapping[str, Any], best: Row | None) -> list[str]:
    """Return sentences on how sure the ranking is."""
    said = [f"Half of the predicted milliseconds are within {share(result['median_error'])} of measured ones."]
    if best is None or best["accuracy"] is None:
        return said
    fits = [row for row in result["tried"] or result["candidates"] if row["verdict"] == "fits" and row is not best]
    rivals = sum(row["accuracy"] is not None and _high(row) >= _low(best) for row in fits)
    said.append(
        f"{several(rivals, 'other candidate')} that fit{'s' * (rivals == 1)} may be as accurate as the best: "
        "the errors or intervals reach each other."
        if rivals
        else "No other candidate that fits may be as accurate as the best, within the errors."
    )
    unsure = sum(row["verdict"] == "unsure" for row in result["candidates"])
    if unsure:
        said.append(f"{number(unsure)} may keep the limits, but their predicted milliseconds leave it open.")
    return said


def _low(row: Row) -> float:
    interval = row.get("accuracy_interval")
    return float(interval[0] if interval else row["accuracy"] - row["accuracy_error"])


def _high(row: Row) -> float:
    interval = row.get("accuracy_interval")
    return float(interval[1] if interval else row["accuracy"] + row["accuracy_error"])

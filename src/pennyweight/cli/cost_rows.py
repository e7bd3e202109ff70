"""Rows of a network's cost: layers, stages or the whole; the same in tables, CSV and JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pennyweight.core.figures import AtLeast
from pennyweight.core.text import printable, write_as_file

if TYPE_CHECKING:
    from pennyweight.verbs.weigh import Weighed

__all__ = ["COUNTED", "SORTS", "SUMMED", "By", "Depth", "as_csv", "bounded", "rows_of"]

By = Literal["layer", "stage", "total"]
Depth = By | int
"""Rows of a network: what `By` names, or modules down to a depth, each with what is inside it."""

COUNTED = ("params", "trainable_params", "weight_bytes", "macs", "ops", "bytes_read", "bytes_written")
SORTS = (*COUNTED, "predicted_ms")
SUMMED = (*COUNTED, "uncounted_calls")
BOUNDED = ("macs", "ops", "predicted_ms")
"""Columns that hold less than the truth where an operator was not counted."""


def rows_of(weighed: Weighed, by: Depth, sort: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a network: its layers or their sums (stage, depth, all); the largest first with `sort`."""
    times = {row.name: row for row in weighed.times}
    shapes = weighed.cost.shapes
    rows: dict[str, dict[str, Any]] = {}
    for layer in weighed.cost.layers:
        key = _key(layer.name, by)
        values = {name: getattr(layer, name) for name in SUMMED}
        timed = times.get(layer.name)
        ms = timed.predicted_ms if timed else None
        row = rows.get(key)
        if row is None or by == "layer":
            kind = layer.type if by == "layer" else ""
            before, after = shapes.get(key, (None, None))
            sizes = {"input_shape": before, "output_shape": after}
            rows[key] = {"name": key, "type": kind, **sizes, **values, "predicted_ms": ms}
            rows[key]["bound"] = timed.bound if timed and by == "layer" else None
        else:
            for name in SUMMED:
                row[name] += values[name]
            row["predicted_ms"] = None if ms is None else row["predicted_ms"] + ms
    made = list(rows.values())
    return sorted(made, key=lambda row: -(row[sort] or 0)) if sort else made


def bounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose figures say that they are less than the truth where an operator in it was not counted."""
    marks = [name for name in BOUNDED if row.get("uncounted_calls") and row.get(name) is not None]
    return {**row, **{name: AtLeast(row[name]) for name in marks}}


def _key(name: str, by: Depth) -> str:
    """Return the row of a layer: itself, its stage (the first two parts of its name), its first parts, or all."""
    parts = {"layer": None, "stage": 2, "total": 0}[by] if isinstance(by, str) else by
    return ".".join(name.split(".")[:parts])


def as_csv(networks: Sequence[Weighed], by: Depth, sort: str | None) -> None:
    """Rows as comma-separated values on standard output, shapes as 3x224x224.

    What is known of the network alone stands in every row of it, so that no choice of rows loses it.
    """
    write_as_file()
    writer = None
    for network in networks:
        known = _of_network(network)
        for row in rows_of(network, by, sort):
            sizes = {name: "x".join(map(str, row[name] or ())) for name in ("input_shape", "output_shape")}
            values = {"network": network.name, "batch": network.cost.batch, **row, **sizes, **known}
            if writer is None:
                writer = csv.DictWriter(sys.stdout, fieldnames=list(values), lineterminator="\n")
                writer.writeheader()
            writer.writerow(
                {name: printable(value) if isinstance(value, str) else value for name, value in values.items()}
            )


def _of_network(weighed: Weighed) -> dict[str, Any]:
    """Return the columns about the whole network: memory, timing, uncounted operators, conventions."""
    from pennyweight.cost.counting.conventions import CONVENTIONS  # whose room loads torch

    cost, timing = weighed.cost, weighed.timing
    known: dict[str, Any] = {"network_peak_activation_bytes": cost.peak_activation_bytes}
    if cost.peak_training_bytes is not None:
        known["network_peak_training_bytes"] = cost.peak_training_bytes
        known["network_training_macs"] = cost.training_macs
    if weighed.times:
        known["network_guessed_share"] = weighed.guessed_share
    known["network_published_top1"] = weighed.published_top1
    if timing:
        low, high = timing.quartiles_ms
        measured = {"measured_ms": timing.median_ms, "measured_low_ms": low, "measured_high_ms": high}
        how = {name: getattr(timing, name) for name in ("engine", "repeats", "warm_up", "threads", "drift")}
        known |= {f"network_{name}": value for name, value in {**measured, **how}.items()}
    return {
        **known,
        "uncounted": ", ".join(f"{operator} {times}" for operator, times in cost.uncounted.items()),
        "notes": "; ".join(cost.notes),
        "conventions": ". ".join(f"{name}: {words}" for name, words in CONVENTIONS.items()),
    }

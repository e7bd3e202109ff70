"""The rows that a network's cost is shown in: layers, stages or the whole; in tables, CSV and JSON alike."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pennyweight.verbs.weigh import Weighed

__all__ = ["COUNTED", "SORTS", "By", "as_csv", "rows_of"]

By = Literal["layer", "stage", "total"]

COUNTED = ("params", "trainable_params", "weight_bytes", "macs", "ops", "bytes_read", "bytes_written")
SORTS = (*COUNTED, "predicted_ms")


def rows_of(weighed: Weighed, by: By, sort: str | None = None) -> list[dict[str, Any]]:
    """What a report shows of a network: its layers, or their sums by stage or in all; the largest first if sorted."""
    times = {row.name: row for row in weighed.times}
    rows: dict[str, dict[str, Any]] = {}
    for layer in weighed.cost.layers:
        key = {"layer": layer.name, "stage": stage(layer.name), "total": ""}[by]
        values = {name: getattr(layer, name) for name in COUNTED}
        timed = times.get(layer.name)
        ms = timed.predicted_ms if timed else None
        row = rows.get(key)
        if row is None or by == "layer":
            kind = layer.type if by == "layer" else ""
            sizes = {"input_shape": layer.input_shape, "output_shape": layer.output_shape}
            rows[key] = {"name": key, "type": kind, **sizes, **values, "predicted_ms": ms}
            rows[key]["bound"] = timed.bound if timed and by == "layer" else None
        else:
            for name in COUNTED:
                row[name] += values[name]
            row["predicted_ms"] = None if ms is None else row["predicted_ms"] + ms
            row["output_shape"] = row["output_shape"] if layer.output_shape is None else layer.output_shape
    made = list(rows.values())
    return sorted(made, key=lambda row: -(row[sort] or 0)) if sort else made


def stage(name: str) -> str:
    """The part of a network that a layer belongs to: two steps down, where there are so many."""
    return ".".join(name.split(".")[:2])


def as_csv(networks: Sequence[Weighed], by: By, sort: str | None) -> None:
    """Rows as comma-separated values on standard output, shapes as 3x224x224."""
    writer = None
    for network in networks:
        for row in rows_of(network, by, sort):
            sizes = {name: "x".join(map(str, row[name] or ())) for name in ("input_shape", "output_shape")}
            values = {"network": network.name, "batch": network.cost.batch, **row, **sizes}
            if writer is None:
                writer = csv.DictWriter(sys.stdout, fieldnames=list(values), lineterminator="\n")
                writer.writeheader()
            writer.writerow(values)

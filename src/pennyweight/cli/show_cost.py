"""How costs read on a terminal."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.console import Console
from rich.table import Table

from pennyweight.cli.cost_tree import tree_rows
from pennyweight.report.formats import number, shape, share
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.cost import MachineProfile
    from pennyweight.lab import Measured
    from pennyweight.verbs.weigh import Weighed

__all__ = ["SORTS", "By", "as_csv", "compared", "experiments", "facts", "machine_profile", "one"]

By = Literal["layer", "stage", "total"]

CONVENTION = (
    "MACs: multiply-accumulates of convolutions, linear layers and matrix products; biases are not counted.\n"
    "operations: all arithmetic, a multiply-accumulate as two. "
    "MB: read and written by every operator, weights included; activations: what they write."
)
COUNTED = ("params", "trainable_params", "weight_bytes", "macs", "ops", "bytes_read", "bytes_written")
SORTS = (*COUNTED, "predicted_ms")
MOST_FINDINGS = 12
MB = 1e6
TIMES_LETTERS = 25


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


class Shown(NamedTuple):
    """A column of the table: what it needs to be shown, besides its value."""

    heading: Column
    value: Callable[[Mapping[str, Any]], Any]
    timed: bool = False
    least: int = 0
    """Letters that a line must have; where times stand beside it, 25 more."""


COLUMNS = (
    Shown(Column("layer"), itemgetter("name")),
    Shown(Column("type"), itemgetter("type"), least=110),
    Shown(Column("in", shape), itemgetter("input_shape"), least=90),
    Shown(Column("out", shape), itemgetter("output_shape")),
    Shown(Column("params"), itemgetter("params")),
    Shown(Column("frozen"), lambda row: row["params"] - row["trainable_params"]),
    Shown(Column("weights MB"), lambda row: row["weight_bytes"] / MB, least=120),
    Shown(Column("activations MB"), lambda row: row["bytes_written"] / MB, least=120),
    Shown(Column("MACs"), itemgetter("macs")),
    Shown(Column("MB"), lambda row: (row["bytes_read"] + row["bytes_written"]) / MB),
    Shown(Column("predicted ms"), itemgetter("predicted_ms"), timed=True),
    Shown(Column("bound by"), itemgetter("bound"), timed=True),
)


def _fits(column: Shown, weighed: Weighed, by: By, width: int) -> bool:
    cost, timed = weighed.cost, bool(weighed.times)
    if column.heading.title in ("type", "bound by") and by != "layer":
        return False
    if column.heading.title == "frozen":
        return cost.params > cost.trainable_params
    return timed if column.timed else width >= column.least + (TIMES_LETTERS if timed else 0) * (column.least > 0)


def one(weighed: Weighed, by: By, sort: str | None, *, lint: bool) -> None:
    """A network: rows (layers as a tree) and totals, memory, what was not counted; with `lint` its guidelines."""
    console, cost = Console(), weighed.cost
    shown = [column for column in COLUMNS if _fits(column, weighed, by, console.width)]
    totals = {
        **{name: getattr(cost, name) for name in COUNTED},
        "name": "total",
        "type": "",
        "input_shape": cost.input_shape,
        "output_shape": "",
        "bound": "",
        "predicted_ms": sum(row.predicted_ms for row in weighed.times),
    }
    rows: Sequence[Mapping[str, Any]] = [] if by == "total" else rows_of(weighed, by, sort)
    if by == "layer" and sort is None:
        rows = tree_rows(rows, SORTS)
    cells = [[column.value(row) for column in shown] for row in (*rows, totals)]
    headings = [column.heading for column in shown]
    console.print(table(f"{weighed.name}, batch {cost.batch}", headings, cells[:-1], totals=cells[-1]))
    for label, value in facts(weighed):
        console.print(f"{label}: {value}", highlight=False, markup=False, soft_wrap=True)
    console.print(CONVENTION, highlight=False)
    if lint:
        console.print(_findings(weighed))


def facts(weighed: Weighed) -> list[tuple[str, str]]:
    """What a report says in words: weights, memory, intensity, times, what to know, what was not counted."""
    cost = weighed.cost
    frozen = cost.params - cost.trainable_params
    live = f"{number(cost.peak_activation_bytes / MB)} MB while {cost.peak_layer or 'the network'} runs"
    if cost.workspace_bytes:
        live += f" (and {number(cost.workspace_bytes / MB)} MB for reordering where channels are not last)"
    lines = [
        ("parameters", f"{cost.params:,}" + (f", of which {frozen:,} frozen" if frozen else "")),
        ("weights", f"{number(cost.weight_bytes / MB)} MB"),
        ("peak of activations", live),
    ]
    if cost.peak_training_bytes is not None:
        step = f"{number(cost.peak_training_bytes / MB)} MB, gradients included"
        if cost.training_workspace_bytes:
            step += f" (and {number(cost.training_workspace_bytes / MB)} MB for reordering where channels are last)"
        lines.append(("peak of a training step", step))
    lines.append(("operations", f"{cost.ops:,}"))
    lines.append(("arithmetic intensity", f"{cost.arithmetic_intensity:.1f} operations a byte"))
    if weighed.predicted_ms is not None:
        line = f"{weighed.predicted_ms:.2f} ms on this machine"
        if weighed.guessed_share >= GUESSED:
            line += f"; {share(weighed.guessed_share)} of it is guessed, of operators unlike any that were timed"
        lines.append(("predicted", line))
    timing = weighed.timing
    if timing:
        low, high = timing.quartiles_ms
        line = f"{timing.median_ms:.2f} ms (half between {low:.2f} and {high:.2f}), {timing.repeats} times"
        threads = f"{timing.threads} thread{'s' * (timing.threads > 1)}"
        line += f" after {timing.warm_up} to warm up, {threads}, batch {timing.batch}"
        lines.append(("measured", line + (f"; the machine's drift {timing.drift:.2f}" if timing.drift else "")))
    lines += [("note", note) for note in cost.notes]
    uncounted = ", ".join(f"{operator} ({times}×)" for operator, times in cost.uncounted.items())
    return [*lines, ("uncounted operators", uncounted or "none")]


def _findings(weighed: Weighed) -> Table:
    columns = [Column("guideline"), Column("layer or block"), Column("found"), Column("extra MB"), Column("extra ms")]
    rows = [
        (f.guideline, f.name, f.found, f.extra_bytes / MB, f.extra_ms, f.advice)
        for f in weighed.findings[:MOST_FINDINGS]
    ]
    more = len(weighed.findings) - len(rows)
    title = "guidelines of ShuffleNetV2" + (f", the first {len(rows)} of {len(weighed.findings)}" if more else "")
    return table(title, [*columns, Column("what to change")], rows)


GUESSED = 0.05
"""Share of the predicted time from which it is said that it is guessed."""

COMPARED: tuple[tuple[str, Callable[[Weighed], float | None]], ...] = (
    ("parameters", lambda w: w.cost.params),
    ("MACs", lambda w: w.cost.macs),
    ("operations", lambda w: w.cost.ops),
    ("MB read and written", lambda w: (w.cost.bytes_read + w.cost.bytes_written) / MB),
    ("MB of weights", lambda w: w.cost.weight_bytes / MB),
    ("peak of activations, MB", lambda w: w.cost.peak_activation_bytes / MB),
    ("predicted ms", lambda w: w.predicted_ms),
    ("measured ms", lambda w: w.measured_ms),
)
"""Rows of a comparison; less is better in each."""


def compared(networks: Sequence[Weighed]) -> None:
    """Networks in columns, the winner of each row marked."""
    rows: list[list[object]] = []
    inputs = [shape(network.cost.input_shape) for network in networks]
    if len(set(inputs)) > 1:  # a larger input is more work, whatever the network
        rows.append(["input", *inputs])
    for label, value in COMPARED:
        values = [value(network) for network in networks]
        known = [v for v in values if v is not None]
        if known:
            best = min(known)
            rows.append([label, *(f"{number(v)}{' ←' if v == best else ''}" if v is not None else "–" for v in values)])
    console = Console()
    console.print(
        table(f"batch {networks[0].cost.batch}; ← is best", [Column(""), *(Column(n.name) for n in networks)], rows)
    )
    console.print(CONVENTION, highlight=False)
    for network in networks:
        for heading, words in facts(network):
            guessed = heading == "predicted" and network.guessed_share >= GUESSED
            if guessed or heading == "note" or (heading == "uncounted operators" and words != "none"):
                console.print(f"{network.name}: {heading}: {words}", highlight=False, markup=False, soft_wrap=True)


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


def machine_profile(profile: MachineProfile, path: str) -> None:
    """What was measured of the machine."""
    limits = profile.limits
    rows = [(f"peak, {name}", f"{rate / 1e9:,.0f} G MACs/s") for name, rate in limits.macs_per_s.items()]
    for level, rate in limits.bytes_per_s.items():
        size = limits.level_bytes.get(level)
        rows.append((f"{level}{f', {size >> 10:,} KiB' if size else ''}", f"{rate / 1e9:,.0f} GB/s"))
    rows.append(("calling a layer", f"{limits.overhead_s * 1e6:.1f} µs"))
    console = Console()
    console.print(
        table(f"{profile.machine['processor']}, {profile.threads} threads", [Column("limit"), Column("measured")], rows)
    )
    learned = [(kind, len(s.points), s.error) for kind, s in profile.times.items()]
    columns = [Column("operators"), Column("sizes timed"), Column("left-out error", share)]
    console.print(table(None, columns, learned))
    console.print(f"kept in {path}", highlight=False, markup=False, soft_wrap=True)


def experiments(title: str, rows: Sequence[Measured]) -> None:
    """One experiment of `lab guidelines`."""
    fastest = min(row.ms for row in rows)
    columns = [Column(""), Column("MACs"), Column("MB"), Column("ms"), Column("times the fastest")]
    Console().print(
        table(title, columns, [(r.label, r.macs, r.traffic_bytes / MB, r.ms, r.ms / fastest) for r in rows])
    )

"""Timings of engines as they read on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import csv as tables
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from pennyweight.cli import show
from pennyweight.core.figures import number
from pennyweight.core.text import printable, say, write_as_file
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.verbs.benching.timings import Timings

__all__ = ["timings"]

TIMES = (
    *(Column(title) for title in ("engine", "threads", "batch", "minimum, ms", "median, ms", "90%, ms")),
    Column("pictures a second"),
    Column("times faster", lambda value: f"{value:.2f}"),
)
ENGINES = (
    *(Column(title) for title in ("engine", "threads", "ready, s", "CPU, s", "memory, MiB", "file, MB")),
    Column("same top-1", str),
    Column("probabilities within", lambda value: f"{value:.0e}"),
)


def timings(found: Timings, *, json: bool, csv: bool) -> None:
    """Print the rows in the form that was asked for: by default two tables for each network."""
    if json:
        show.as_json(found.to_dict())
    elif csv:
        _as_csv(found)
    else:
        _as_tables(found)


def _as_csv(found: Timings) -> None:
    write_as_file()
    rows = [asdict(row) for row in found.rows]
    writer = tables.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: printable(value) if isinstance(value, str) else value for name, value in row.items()})
    for line in found.conditions:
        say(line, error=True)


def _as_tables(found: Timings) -> None:
    console = Console()
    for name in dict.fromkeys(row.network for row in found.rows):
        rows = [row for row in found.rows if row.network == name]
        times = [
            (
                *(
                    _engine(row.engine, row.precision),
                    row.threads,
                    row.batch,
                    row.minimum_ms,
                    row.median_ms,
                    row.p90_ms,
                ),
                *(row.pictures_per_s, row.times_faster),
            )
            for row in rows
        ]
        console.print(table(name, TIMES, times))
        firsts = {(row.engine, row.threads): row for row in reversed(rows)}
        others = [
            (
                *(_engine(row.engine, row.precision), row.threads, row.ready_s, row.ready_cpu_s),
                *(None if row.resident_bytes is None else row.resident_bytes / 2**20, row.file_bytes / 1e6),
                *(f"{number(row.same_top1)} of {number(row.pictures)}", row.largest_probability_difference),
            )
            for row in reversed(firsts.values())
        ]
        console.print(table(None, ENGINES, others))
    say(*found.conditions)


def _engine(name: str, precision: str) -> str:
    return name if precision == "float32" else f"{name}, {precision}"

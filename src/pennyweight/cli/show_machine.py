"""Measurements of this machine as they read on a terminal: its profile, and the experiments of `lab`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from pennyweight.core.figures import number, several, share, spread
from pennyweight.core.machine import quota_line
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.cost import MachineProfile
    from pennyweight.lab import Measured

__all__ = ["experiments", "machine_profile"]

MB = 1e6


def machine_profile(profile: MachineProfile, path: str) -> None:
    """Print the profile of the machine and its file."""
    limits = profile.limits
    rows = [(f"peak, {name}", f"{number(rate / 1e9)} G MACs/s") for name, rate in limits.macs_per_s.items()]
    for level, rate in limits.bytes_per_s.items():
        size = limits.level_bytes.get(level)
        rows.append((f"{level}{f', {size >> 10:,} KiB' if size else ''}", f"{number(rate / 1e9)} GB/s"))
    rows.append(("calling a layer", f"{limits.overhead_s * 1e6:.1f} µs"))
    console = Console()
    console.print(
        table(
            f"{profile.machine['processor']}, {several(profile.threads, 'thread')}",
            [Column("limit"), Column("measured")],
            rows,
        )
    )
    learned = [(kind, len(s.points), s.error) for kind, s in profile.times.items()]
    columns = [Column("operators"), Column("sizes timed"), Column("left-out error", share)]
    if learned:
        console.print(table(None, columns, learned))
    if profile.factors:
        few = ", ".join(profile.factors)
        few = f"too few sizes to learn from, predicted by how far they stay behind the limits: {few}"
        say(few)
    if profile.agreement is not None:
        busy = "" if profile.agreement.holds else "the machine was busy, which weigh will say: "
        say(f"{busy}{profile.agreement}")
    say(*filter(None, [quota_line()]), f"kept in {path}")


def experiments(tables: Sequence[tuple[str, Sequence[Measured]]], about: Sequence[str]) -> None:
    """Print the experiments of `lab guidelines`, and the conditions of the measurement."""
    console = Console()
    columns = [Column(name) for name in ("", "MACs", "MB", "ms", "quartiles, ms", "relative time")]
    for title, rows in tables:
        fastest = min(row.ms for row in rows)
        cells = [(r.label, r.macs, r.traffic_bytes / MB, r.ms, spread(r.quartiles_ms), r.ms / fastest) for r in rows]
        console.print(table(title, columns, cells))
    for line in about:
        say(line)

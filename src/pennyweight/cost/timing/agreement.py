"""Agreement of a measurement with itself: the same operators timed in two halves, and what else the machine did."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.machine import cores

__all__ = ["Agreement", "agreement_of", "load_now", "waited_share", "waits"]

APART = 0.10
"""Median difference between two halves from which a measurement contradicts itself; 2 to 4% where nothing else runs."""
FAR = 0.25
MOST_FAR = 0.20
"""Most operators that may differ by FAR: one busy program disturbs the longest ones alone."""
MOST_WAITED = 0.05
"""Largest share of the time that threads may wait for a processor."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Differences between the shortest times of the first half of the rounds and of the second."""

    apart: float
    """Median over all operators: 0.1 where one half took 10% longer than the other."""
    far: float
    """Share of operators whose halves differ by a quarter or more."""
    waited: float | None
    """Share of the time that a thread stood in line for a processor; None where the system does not tell."""
    load: float | None
    """Load average of the last minute when the measurement began; None where the system does not tell."""
    cores: int

    @property
    def holds(self) -> bool:
        """False where the machine was too busy to be measured."""
        return self.apart <= APART and self.far <= MOST_FAR and (self.waited or 0.0) <= MOST_WAITED

    def __str__(self) -> str:
        line = f"two halves of the same measurement differ by {self.apart:.0%} (median; at most {APART:.0%})"
        line += f", {self.far:.0%} of the operators by {FAR:.0%} or more (at most {MOST_FAR:.0%})"
        if self.waited is not None:
            line += f", threads waited {self.waited:.0%} of the time (at most {MOST_WAITED:.0%})"
        return line + (f", load {self.load:.1f} on {self.cores} cores" if self.load is not None else "")


def agreement_of(
    times: Sequence[Sequence[float]], *, waited: float | None = None, load: float | None = None
) -> Agreement | None:
    """Return how well two halves of the rounds agree, from each operator's times in order; None of a single round."""
    if min(map(len, times), default=0) < 2:
        return None
    halves = [(min(row[: len(row) // 2]), min(row[len(row) // 2 :])) for row in times]
    apart = [max(pair) / min(pair) - 1 for pair in halves]
    return Agreement(
        apart=statistics.median(apart),
        far=sum(one >= FAR for one in apart) / len(apart),
        waited=waited,
        load=load,
        cores=cores(),
    )


def load_now() -> float | None:
    """Return the load average of the last minute; None where the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def waits() -> dict[str, int]:
    """Return the nanoseconds that each thread of this process has stood in line for a processor so far.

    From Linux's schedstat; nothing elsewhere.
    """
    found = {}
    with suppress(OSError, ValueError):
        for path in Path("/proc/self/task").glob("*/schedstat"):
            found[str(path)] = int(path.read_text().split()[1])
    return found


def waited_share(before: Mapping[str, int], seconds: float) -> float | None:
    """Return the share of the last `seconds` that the thread that waited longest has waited since `before`."""
    now = waits()
    return max(now[thread] - before.get(thread, 0) for thread in now) / 1e9 / seconds if before and now else None

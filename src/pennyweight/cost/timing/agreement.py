"""Self-agreement of a measurement: the same operators timed in two halves, and other load on the machine."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.machine import cores

__all__ = ["Agreement", "agreement_of", "load_average", "thread_waits", "waited_share"]

APART = 0.10
"""Largest median difference between the two halves of a valid measurement; 2 to 4% on an idle machine."""
FAR = 0.25
"""Difference at which one operator counts as far off."""
MOST_FAR = 0.20
"""Largest share of operators that may differ by FAR: one busy program disturbs only the longest operators."""
MOST_WAITED = 0.05
"""Largest share of the time that threads may wait for a processor."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Differences between the shortest times in the first half of the rounds and in the second half."""

    apart: float
    """Median difference over all operators: 0.1 if one half took 10% longer than the other."""
    far: float
    """Share of operators whose halves differ by a quarter or more."""
    waited: float | None
    """Share of the time that a thread waited for a processor; None if the system does not report it."""
    load: float | None
    """Load average of the last minute at the start of the measurement; None if the system does not report it."""
    cores: int

    @property
    def holds(self) -> bool:
        """False if the machine was too busy for a valid measurement."""
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
    """Compare the two halves of each operator's times, in order; None for fewer than two rounds."""
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


def load_average() -> float | None:
    """Return the load average of the last minute; None if the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def thread_waits() -> dict[str, int]:
    """Return the nanoseconds that each thread of this process has waited for a processor so far.

    The source is Linux's schedstat; the result is empty on other systems.
    """
    found = {}
    with suppress(OSError, ValueError):
        for path in Path("/proc/self/task").glob("*/schedstat"):
            found[str(path)] = int(path.read_text().split()[1])
    return found


def waited_share(before: Mapping[str, int], seconds: float) -> float | None:
    """Return the largest share of the last `seconds` that any thread has waited since `before`."""
    now = thread_waits()
    return max(now[thread] - before.get(thread, 0) for thread in now) / 1e9 / seconds if before and now else None

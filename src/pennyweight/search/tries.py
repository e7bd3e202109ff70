"""Candidates that are tried on pictures, and the seconds that each one is trained for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pennyweight.search.picks import EXCEEDS, Pick
from pennyweight.search.published import family_of

__all__ = ["FACTOR", "Halving", "spread"]

FACTOR = 3
"""One candidate of FACTOR is trained further, for FACTOR times as long."""
COUNTS = (24, 18, 12, 9, 6, 4)
"""Numbers of candidates, the best first."""
MOST_RUNGS = 3
LEAST_S = 10.0
"""Seconds of a first training below which fewer candidates are tried."""
FEWEST = 3


class Halving(NamedTuple):
    """Successive halving by time: each rung trains afresh, FACTOR times as long as the one before.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (asynchronous successive halving).
    """

    candidates: int
    """Number of candidates."""
    base_s: float
    """Seconds of the first training of a candidate."""
    rungs: int
    """Most trainings of a candidate."""

    @classmethod
    def within(cls, seconds: float) -> Halving:
        """Return the most candidates, on the most rungs, whose trainings fit the seconds."""
        for rungs in range(MOST_RUNGS, 1, -1):
            for count in COUNTS:
                if seconds / _units(count, rungs) >= LEAST_S:
                    return cls(count, seconds / _units(count, rungs), rungs)
        return cls(FEWEST, seconds / FEWEST, 1)

    def lengths(self) -> Iterator[tuple[int, float]]:
        """Yield the step that a rung is reported at, and the seconds of its training."""
        for rung in range(self.rungs):
            yield FACTOR**rung, self.base_s * FACTOR**rung


def _units(count: int, rungs: int) -> float:
    """Return the first trainings that would take as long as all: the first to come goes further each time."""
    lengths = [FACTOR**rung for rung in range(rungs)]
    return float(sum((count / length + (length > 1)) * length for length in lengths))


def spread(rows: Iterable[Pick], count: int) -> list[Pick]:
    """Return candidates that may keep the limits, spread over families and sizes.

    Each family gives one in turn: the one that should be most accurate, the least, then those halfway between.
    """
    families: dict[str, list[Pick]] = {}
    for row in rows:
        if row.verdict != EXCEEDS:
            families.setdefault(family_of(row.network), []).append(row)
    queues = [_halfway(sorted(each, key=lambda row: (row.accuracy or 0.0, row.macs))) for each in families.values()]
    places = range(max(map(len, queues), default=0))
    return [queue[place] for place in places for queue in queues if place < len(queue)][:count]


def _halfway(rows: Sequence[Pick]) -> list[Pick]:
    """Return all rows: the last, the first, then the middles of ever smaller parts."""
    order, parts = [len(rows) - 1, 0], [(0, len(rows) - 1)]
    while parts:
        low, high = parts.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            order.append(middle)
            parts += [(middle, high), (low, middle)]
    return [rows[place] for place in dict.fromkeys(order)]

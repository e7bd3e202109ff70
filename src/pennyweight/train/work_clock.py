"""Clock of the work that a thread has done, for limits that a busy machine does not shorten."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time

__all__ = ["work_clock"]


def work_clock(patience: float) -> Callable[[], float]:
    """Return a clock that counts the seconds this thread computed, or waited, from now on.

    On a quiet machine it runs like any clock. On a busy one it stands while other programs have the processor, so that
    as much is done before a limit. Waiting counts a `patience`-th part: a limit of S seconds is never more than
    `patience` * S seconds away. With a patience of 1 it is a usual clock.
    """
    worked, passed = thread_time(), perf_counter()

    def now() -> float:
        return max(thread_time() - worked, (perf_counter() - passed) / patience)

    return now

"""Time several calls in turn, so that a change of the machine's load meets all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

__all__ = ["WARM_UP", "time_in_turns"]

WARM_UP = 3
"""Rounds that are not kept."""
PAUSE_S = 0.01
"""Seconds before each turn: torch's threads spin for milliseconds after a call, on cores that the next call needs."""
LEAST = 3
"""Rounds that are kept even where time is up."""


def time_in_turns(
    calls: Sequence[Callable[[], object]],
    *,
    repeats: int,
    within_s: float = math.inf,
    before_round: Callable[[bool], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Time each call once in each round, in milliseconds.

    Args:
        calls: Functions to time.
        repeats: Rounds to keep, after WARM_UP rounds.
        within_s: Seconds after which no new round begins.
        before_round: Function that runs before each round, with True if the round is kept.
        clock: Function that returns seconds; time.process_time counts those of all threads of this process alone.

    Returns:
        The times of each call in the order of the rounds.
    """
    times: list[list[float]] = [[] for _ in calls]
    began = time.perf_counter()
    for number in range(repeats + WARM_UP):
        kept = number >= WARM_UP
        if number >= WARM_UP + LEAST and time.perf_counter() - began > within_s:
            break
        if before_round is not None:
            before_round(kept)
        for call, spent in zip(calls, times, strict=True):
            if len(calls) > 1 or before_round is not None:
                time.sleep(PAUSE_S)
                call()  # an untimed call refills the caches after the other work
            started = clock()
            call()
            if kept:
                spent.append(1000 * (clock() - started))
    return times

"""Time candidates on an engine: a few that its costs are learned from, and those that a search is about to choose."""

from __future__ import annotations

import math
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from pennyweight.core.errors import InputError
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.turns import time_in_turns
from pennyweight.deploy.timing_graph import write_timing_graph
from pennyweight.runtime.engine import ENGINES, EngineChoice, require_batch
from pennyweight.search.counted import Counted, count_candidate, make
from pennyweight.search.engine_times import Conditions, EngineTimes, Timed
from pennyweight.search.space import Candidate, candidates_of, read_space

__all__ = ["calm_medians", "conditions_of", "learn_engine_times", "time_candidates"]

INT8 = "int8"
LEARNED_FROM = 60
"""Networks that an engine's costs are learned from."""
MOST_MACS = 2_000_000_000
"""MACs above which a network is too slow to learn from."""
TOGETHER = 6
"""Networks that take turns, and whose weights are in memory at the same time."""
REPEATS, WITHIN_S = 20, 4.0
CALM = 1.15
"""Median of a network's times over the least of them, above which other programs took part of the machine."""
USUAL = 1.07
"""Median over least time on a calm machine."""
TRIES = 3
"""Times that a network is timed until the machine was calm; the least median counts."""


def conditions_of(choice: EngineChoice, *, threads: int, batch: int, int8: bool) -> Conditions:
    """Return what times on an engine belong to. Raises InputError for a batch that no call can have."""
    require_batch(batch)
    return Conditions(
        engine=choice.name,
        version=version(ENGINES[choice.name].package),
        threads=threads,
        batch=batch,
        precision=INT8 if int8 else choice.precision,
    )


def learn_engine_times(
    conditions: Conditions, *, created: str, advance: Callable[[int], None] = lambda count: None
) -> EngineTimes:
    """Time networks of the usual space on an engine, in about a minute and a half, and learn its costs from them.

    Args:
        conditions: Engine and settings.
        created: Time of the measurement, ISO 8601, UTC.
        advance: Called with the number of networks after each group, LEARNED_FROM in all.
    """
    rows = []
    drawn = _drawn(LEARNED_FROM)
    for first in range(0, len(drawn), TOGETHER):
        group = drawn[first : first + TOGETHER]
        rows += time_candidates(group, conditions, classes=None)
        advance(len(group))
    return EngineTimes.learn(conditions, rows, created=created)


def _drawn(count: int) -> list[Counted]:
    """Return networks of every kind in turn, the same on every machine."""
    by_network: dict[str, list[Candidate]] = {}
    for candidate in candidates_of(read_space()):
        by_network.setdefault(candidate.network, []).append(candidate)
    order = random.Random(0)  # noqa: S311 - a draw that anybody may repeat
    for candidates in by_network.values():
        order.shuffle(candidates)
    found: list[Counted] = []
    for candidate in _in_turn(list(by_network.values())):
        counted = _fits(candidate)
        if counted is not None:
            found.append(counted)
        if len(found) == count:
            break
    return found


def _in_turn(lists: list[list[Candidate]]) -> Iterator[Candidate]:
    for place in range(max(map(len, lists))):
        yield from (each[place] for each in lists if place < len(each))


def _fits(candidate: Candidate) -> Counted | None:
    try:
        counted = count_candidate(candidate)
    except InputError:
        return None
    return counted if counted.macs <= MOST_MACS else None


def time_candidates(
    group: Sequence[Counted], conditions: Conditions, *, classes: int | None, within_s: float = WITHIN_S
) -> list[Timed]:
    """Time candidates in turns on graphs with fresh weights; the milliseconds are medians of calls.

    Those that were timed while other programs took part of the machine are timed again, up to TRIES times.

    Args:
        group: Candidates whose weights fit into memory together.
        conditions: Engine and settings.
        classes: Classes of the head; None for the published head.
        within_s: Seconds of a try after which no new round begins.
    """
    int8 = conditions.precision == INT8
    choice = EngineChoice(
        conditions.engine, threads=conditions.threads, precision="float32" if int8 else conditions.precision
    )
    with tempfile.TemporaryDirectory(prefix="pennyweight-pick-") as folder:
        calls = []
        for place, counted in enumerate(group):
            candidate, path = counted.candidate, Path(folder, f"{place}.onnx")
            preprocess = Preprocess(size=candidate.size, resize=candidate.size)
            network = make(candidate, classes)
            write_timing_graph(network, preprocess, path, batch=conditions.batch, int8=int8)
            calls.append(partial(choice.open(path), seeded_pixels(conditions.batch, preprocess.shape)))
        times = calm_medians(calls, within_s=within_s)
    return [Timed(counted.candidate.name, counted.work, ms) for counted, ms in zip(group, times, strict=True)]


def calm_medians(calls: Sequence[Callable[[], object]], *, within_s: float) -> list[float]:
    """Return each call's median on a calm machine, in milliseconds: the least of its tries.

    A call that was never calm has its least time and what the median of a calm machine stands above that.
    """
    found, least = [math.inf] * len(calls), [math.inf] * len(calls)
    places = list(range(len(calls)))
    for _ in range(TRIES):
        # a function before each round keeps the pauses where one call is left
        times = time_in_turns(
            [calls[place] for place in places], repeats=REPEATS, within_s=within_s, before_round=lambda kept: None
        )
        for place, spent in zip(places, times, strict=True):
            found[place], least[place] = min(found[place], statistics.median(spent)), min(least[place], *spent)
        places = [place for place in places if found[place] > CALM * least[place]]
        if not places:
            break
    return [USUAL * least[place] if place in places else ms for place, ms in enumerate(found)]

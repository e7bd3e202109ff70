"""Search by counting: every candidate of a space against a budget, with milliseconds predicted and then measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from pennyweight.core.budget import Budget
from pennyweight.core.errors import InputError
from pennyweight.core.figures import several
from pennyweight.core.summary import Rows
from pennyweight.search.counted import Counted, count_candidate, count_candidates
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.measure import INT8, TOGETHER, time_candidates
from pennyweight.search.picks import EXCEEDS, MEASURED, PREDICTED, Pick, Picks, front_of, verdict_of
from pennyweight.search.published import Priors
from pennyweight.search.space import Candidate

__all__ = ["Search"]

REFINED_WITHIN_S = 25.0
"""Seconds after which no further candidates are timed."""
SPREAD = 0.03
"""Relative error of a measured time: the same bundle takes that much longer at another moment."""


class Search:
    """Candidates that were counted, with the milliseconds that are known of them."""

    def __init__(
        self, counted: Sequence[Counted], refused: Mapping[str, str], times: EngineTimes, budget: Budget,
        *, classes: int | None,
    ) -> None:  # fmt: skip
        self.counted, self.refused, self.times, self.budget, self.classes = counted, refused, times, budget, classes
        self.priors = Priors.learn(_published)
        self.measured: dict[str, float] = {}

    @classmethod
    def count(
        cls,
        candidates: Sequence[Candidate],
        times: EngineTimes,
        budget: Budget,
        *,
        classes: int | None,
        note: Callable[[str], None] = lambda line: None,
        advance: Callable[[int], None] = lambda count: None,
    ) -> Search:
        """Count candidates, and note those that their networks refuse. Raises InputError where none can be made."""
        note(f"counting {several(len(candidates), 'candidate')}")
        counted, refused = count_candidates(candidates, classes, advance)
        if not counted:
            raise InputError(f"no candidate can be made: {next(iter(refused.values()), 'the space is empty')}")
        if refused:
            name, reason = next(iter(refused.items()))
            note(f"left out {several(len(refused), 'combination')} that the networks refuse, such as {name}: {reason}")
        return cls(counted, refused, times, budget, classes=classes)

    @property
    def int8(self) -> bool:
        """True where the engine executes int8 bundles."""
        return self.times.conditions.precision == INT8

    def picks(self, notes: Sequence[str] = ()) -> Picks:
        """Return all candidates with their verdicts."""
        return Picks(
            budget=self.budget,
            conditions=self.times.conditions,
            machine=self.times.machine,
            median_error=self.times.median_error,
            candidates=Rows(self._row(each) for each in self.counted),
            refused=self.refused,
            notes=tuple(notes),
        )

    def row(self, name: str) -> Pick:
        """Return a candidate with its verdict."""
        return next(self._row(each) for each in self.counted if each.candidate.name == name)

    def measure(self, names: Sequence[str], *, within_s: float) -> None:
        """Time candidates, each group of TOGETHER within the seconds."""
        by_name = {each.candidate.name: each for each in self.counted}
        for first in range(0, len(names), TOGETHER):
            group = [by_name[name] for name in names[first : first + TOGETHER] if name not in self.measured]
            timed = time_candidates(group, self.times.conditions, classes=self.classes, within_s=within_s)
            self.measured |= {row.name: row.ms for row in timed}

    def refine(
        self,
        *,
        within_s: float = REFINED_WITHIN_S,
        note: Callable[[str], None] = lambda line: None,
        watch: Callable[[Search], None] = lambda search: None,
    ) -> None:
        """Time the candidates of the front, and those that would be on it if they fit, until they are known.

        Each group that was timed mends the predictions of the others.
        """
        started = time.monotonic()
        watch(self)
        by_name = {each.candidate.name: each for each in self.counted}
        while time.monotonic() - started < within_s:
            hopeful = [row for row in map(self._row, self.counted) if row.verdict != EXCEEDS]
            unknown = [row.name for row in front_of(hopeful) if row.ms_is != MEASURED][:TOGETHER]
            if not unknown:
                return
            timed = time_candidates([by_name[name] for name in unknown], self.times.conditions, classes=self.classes)
            self.measured |= {row.name: row.ms for row in timed}
            self.times = self.times.with_rows(timed)
            watch(self)
        note("not every network near the limit was timed; more would be with --seconds")

    def _row(self, counted: Counted) -> Pick:
        candidate = counted.candidate
        ms = self.measured.get(candidate.name)
        error = self.times.error if ms is None else SPREAD
        ms_is = PREDICTED if ms is None else MEASURED
        ms = self.times.predict(counted.work) if ms is None else ms
        prior = self.priors(candidate, counted.published_params, counted.published_macs)
        values = counted.values(int8=self.int8) | {"ms": ms, "accuracy": prior.accuracy if prior else 0.0}
        excesses = self.budget.excesses(values)
        return Pick(
            name=candidate.name,
            network=candidate.network,
            config=candidate.config,
            size=candidate.size,
            params=int(values["params"]),
            macs=int(values["macs"]),
            size_bytes=int(values["size_bytes"]),
            memory_bytes=int(values["memory_bytes"]),
            ms=ms,
            ms_error=error,
            ms_is=ms_is,
            accuracy=prior.accuracy if prior else None,
            accuracy_error=prior.error if prior else 0.0,
            accuracy_is=prior.kind if prior else "",
            verdict=verdict_of(excesses, ms, error, self.budget.ms),
            excesses=excesses,
        )


def _published(candidate: Candidate) -> tuple[int, int]:
    counted = count_candidate(candidate)
    return counted.params, counted.macs

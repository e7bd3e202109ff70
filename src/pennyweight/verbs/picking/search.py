"""Search on pictures by one worker: it tries candidates, then trains and exports the most accurate one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pennyweight.core.budget import Budget
from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.figures import number, several, share
from pennyweight.core.machine import machine
from pennyweight.core.summary import Rows
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.measure import INT8
from pennyweight.search.pick import Search
from pennyweight.search.picks import FITS, HELD_OUT, Chosen, Pick, Picks, verdict_of
from pennyweight.search.space import Candidate, candidates_of, read_space
from pennyweight.search.tries import COUNTS, Halving, spread
from pennyweight.train.deadline import TooFewMinutes
from pennyweight.verbs.picking.finish import finish
from pennyweight.verbs.picking.folder import JOURNAL, SearchFolder
from pennyweight.verbs.picking.options import SourcePick
from pennyweight.verbs.picking.pictures import Answer, TriedPictures
from pennyweight.verbs.picking.view import SearchView

__all__ = ["SourceSearch"]

EXPORT_S = 25.0
"""Seconds that are kept for the export, its proof, and the times of the bundle."""
SEARCHED, SEARCHED_BY_HEADS = 0.5, 0.75
"""Share of the minutes for trials from scratch, and of heads; the rest trains the chosen network."""
TIMED_S = 2.0
"""Seconds in which a group of candidates is timed before the trials."""
MOST_ROUNDS = 3
"""Groups of candidates that are timed, until some are within the limits."""
LONGER, MOST_LONGER = 3, 4
"""Factor by which the training of the chosen network gets more minutes where they end before it begins, and tries."""
POLL_S = 1.0
SIZES = (96, 128, 160, 192, 224)
"""Sides of the input at which networks with weights are tried, besides their own."""
FINAL = "the chosen network"
"""Name of the trial that trains and exports the chosen network."""
HOW = {True: "of heads on features", False: "after a short training"}
Note = Callable[[str], None]


class SourceSearch:
    """Search on pictures by this worker, which ends at a moment of the monotonic clock."""

    def __init__(
        self, asked: SourcePick, budget: Budget, times: EngineTimes, ends: float, pictures: TriedPictures,
        view: SearchView,
    ) -> None:  # fmt: skip
        self.asked, self.budget, self.times = asked, budget, times
        self.note: Note = view.note
        self.ends, self.pictures, self.view = ends, pictures, view
        self.here = times.machine == machine()

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.ends - time.monotonic()

    def count(self, space: str | os.PathLike[str] | None) -> None:
        """Count the candidates: networks with weights at hand, else those of the space."""
        pictures, labels = self.pictures, len(self.pictures.source.labels)
        tables = read_space(space, small=pictures.are_small)
        usual = {"sizes": [pictures.size]} if pictures.are_small and space is None else {}
        candidates: Sequence[Candidate] = pictures.with_weights(SIZES, self.asked.weights)
        self.heads = bool(candidates)
        if not candidates:
            candidates = candidates_of([{**usual, **table} for table in tables])
        how = (
            "heads learn from features of networks with weights" if self.heads else "networks are trained from scratch"
        )
        self.note(f"trying candidates on {pictures.source.name}: {how}")
        self.candidates = {candidate.name: candidate for candidate in candidates}
        self.view.count(len(candidates))
        self.search = Search.count(
            candidates,
            self.times,
            replace(self.budget, accuracy=None),
            classes=labels,
            note=self.note,
            advance=self.view.counted,
        )

    def plan(self) -> list[str]:
        """Choose what is tried, and for how long; return the names, none where nothing keeps the limits."""
        search_s = max((SEARCHED_BY_HEADS if self.heads else SEARCHED) * (self.left_s - EXPORT_S), 1.0)
        timing_s = 0.1 * search_s
        self.halving = Halving.within(search_s - timing_s)
        self.searched = time.monotonic() + search_s
        count = COUNTS[0] if self.heads else self.halving.candidates
        names: list[str] = []
        for _ in range(MOST_ROUNDS):
            drawn = [row.name for row in spread(self.search.picks().candidates, count)]
            if self.here:
                self.view.begin(f"timing the bundles of {several(len(drawn), 'candidate')}")
                self.search.measure(drawn, within_s=TIMED_S)
            names = [name for name in drawn if self.search.row(name).verdict == FITS]
            if names or not drawn:
                break
        self.names = names
        return names

    def open_study(self, folder: SearchFolder) -> None:
        """Open the study that the workers share, and add the trials to a new one."""
        from pennyweight.search.study import Study

        folder.claim()
        self.folder, name = folder, f"pennyweight-{folder.key[:16]}"
        shared = self.asked.storage
        self.study = (
            Study(str(folder.path / JOURNAL), name) if shared is None else Study(shared, name, option="--storage")
        )
        done = [trial for trial in self.study.trials if trial.state == "done" and trial.name != FINAL]
        if not self.study.trials:
            for candidate in self.names:
                self.study.add(candidate, base_s=self.halving.base_s, rungs=self.halving.rungs)
        elif done:
            self.note(f"{folder.path}: {several(len(done), 'trial')} of an earlier command, or of other workers, count")

    def try_all(self) -> None:
        """Try candidates until none is left, or the time for trials is over."""
        from pennyweight.search.study import TakenOver

        while time.monotonic() < self.searched:
            trials = {trial.name: trial for trial in self.study.trials if trial.name in self.candidates}
            claim = self.study.claim([*trials])
            if claim is not None:
                try:
                    with claim.held():
                        self._watch()
                        self._try(claim)
                except TakenOver:
                    self.note(f"{claim.name}: another worker took the trial over")
                continue
            if not any(trial.state == "running" for trial in trials.values()):
                return
            time.sleep(POLL_S)  # another worker may end without an answer
        left = sum(
            trial.state in ("waiting", "running") for trial in self.study.trials if trial.name in self.candidates
        )
        if left:
            self.note(f"{several(left, 'candidate')} not tried; more would be with more --minutes")

    def _try(self, claim: Any) -> None:
        """Try a candidate, and report its accuracy after each of its trainings."""
        candidate = self.candidates[claim.name]
        try:
            if self.heads:
                answer = self.pictures.answer_by_head(candidate)
                self._keep(claim, answer, 0.0)
                whole = len(self.pictures.source.samples)
                self.searched = min(self.searched, self.ends - EXPORT_S - 2 * answer.seconds * whole / answer.pictures)
                claim.finish(answer.accuracy)
                return
            rungs = Halving(len(self.names), claim.facts["base_s"], claim.facts["rungs"])
            last: Answer | None = None
            for step, seconds in rungs.lengths():
                if time.monotonic() + seconds > self.searched + 1:
                    break
                last = self.pictures.answer_by_training(candidate, seconds)
                self._keep(claim, last, seconds)
                if not claim.goes_on(step, last.accuracy):
                    break
            claim.finish(None if last is None else last.accuracy)
        except PennyweightError as error:
            self.note(f"{claim.name} is not tried: {error}")
            claim.finish(error=str(error))

    def _keep(self, claim: Any, answer: Answer, trained_s: float) -> None:
        claim.keep(accuracy=answer.accuracy, interval=list(answer.interval), trained_s=trained_s)
        low, high = answer.interval
        after = f" after {trained_s:.0f} s" if trained_s else ""
        ms = number(self.search.row(claim.name).ms)
        self._watch()
        if not self.view.is_live:
            self.note(f"{claim.name}: {share(answer.accuracy)} ({share(low)} to {share(high)}){after}, {ms} ms")

    def _watch(self) -> None:
        self.view.tried(self.study.trials, self._tried(), self.search)

    def end(self) -> Picks:
        """Return the candidates that were tried, with the chosen one trained, exported and timed."""
        tried = self._tried()
        if not tried:
            errors = [trial.error for trial in self.study.trials if trial.error]
            why = errors[0] if errors else "the time ended first; give --minutes more"
            raise InputError(f"no candidate could be tried: {why}")
        found = replace(self.search.picks(), budget=self.budget, tried=Rows(tried))
        if found.best is None:
            self.folder.keep(found)
            return found
        chosen, line = self._chosen(found.best.name)
        notes = [
            f"accuracy: on held-out pictures of the source, {HOW[self.heads]}; the chosen network's is on the test "
            "split, which no trial has seen",
            *filter(None, [line]),
        ]
        found = replace(found, chosen=chosen, notes=(*found.notes, *notes))
        self.folder.keep(found)
        return found

    def _tried(self) -> list[Pick]:
        """Return the candidates with a held-out accuracy, by any worker."""
        found = []
        for trial in self.study.trials:
            if "accuracy" not in trial.facts or trial.name not in self.candidates:
                continue
            row, accuracy = self.search.row(trial.name), trial.facts["accuracy"]
            values: dict[str, Any] = {**vars(row), "accuracy": accuracy}
            excesses = self.budget.excesses(values)
            low, high = trial.facts["interval"]
            found.append(
                replace(
                    row, accuracy=accuracy, accuracy_error=0.0, accuracy_is=HELD_OUT, accuracy_interval=(low, high),
                    trained_s=trial.facts["trained_s"], excesses=excesses,
                    verdict=verdict_of(excesses, row.ms, row.ms_error, self.budget.ms),
                )
            )  # fmt: skip
        return found

    def _chosen(self, name: str) -> tuple[Chosen | None, str]:
        """Return the chosen network, and a line where this worker did not make it."""
        from pennyweight.search.study import TakenOver

        if FINAL not in {trial.name for trial in self.study.trials}:
            self.study.add(FINAL)
        claim = self.study.claim([FINAL])
        if claim is None:
            return self._made_elsewhere()
        try:
            with claim.held():
                chosen = self._make(claim, name)
        except TakenOver:
            return self._made_elsewhere()
        limit = self.budget.ms
        if limit is not None and chosen.ms is not None and chosen.ms > limit:
            return chosen, f"the bundle takes {number(chosen.ms)} ms, over {number(limit)}: the machine may be busy"
        return chosen, ""

    def _make(self, claim: Any, name: str) -> Chosen:
        """Train, export and time the candidate of a name, or the one that an interrupted command began with."""
        begun = claim.facts.get("candidate")
        name = name if begun not in self.candidates else begun
        minutes = claim.facts.get("minutes") or max((self.left_s - EXPORT_S) / 60, 0.1)
        claim.keep(candidate=name, minutes=minutes)
        self.note(f"training the chosen network, {name}; after an interruption the same command of pick resumes it")
        request = replace(self.pictures.request_of(self.candidates[name]), progress=self.asked.progress)
        conditions = self.times.conditions if self.here else None
        int8, path = self.times.conditions.precision == INT8, self.folder.path / "run"
        for _ in range(MOST_LONGER):
            try:
                chosen = finish(
                    name, replace(request, minutes=minutes), path, conditions, int8=int8, note=self.note
                )  # fmt: skip
                break
            except TooFewMinutes:  # the trials count; their result is worth more than the time
                minutes *= LONGER
                claim.keep(minutes=minutes)
                self.note(f"too little of --minutes is left for the chosen network; it gets {minutes:.1f} minutes")
        else:
            raise InputError("the chosen network cannot be trained in so short a time; give --minutes more")
        claim.keep(chosen=json.loads(json.dumps(vars(chosen))))
        claim.finish(chosen.accuracy)
        return chosen

    def _made_elsewhere(self) -> tuple[Chosen | None, str]:
        final: Mapping[str, Any] = next(trial.facts for trial in self.study.trials if trial.name == FINAL)
        if "chosen" in final:
            return Chosen.from_dict(final["chosen"]), ""
        return None, "another worker trains and exports the chosen network; its folder has the run"

"""Trials that several processes share: each trial is done once, and another process takes over a dead one's."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from pennyweight.search.storage import open_storage
from pennyweight.search.tries import FACTOR
from pennyweight.search.worker import is_gone, this_worker

__all__ = ["Claim", "Study", "TakenOver", "Trial"]

BEAT_S = 10.0
"""Seconds between two signs of life of a worker."""
LEASE_S = 60.0
"""Seconds without a sign of life after which another worker takes the trial over."""
UNNAMED_S = 10.0
"""The same for a trial whose worker has not even written its name, which it does at once."""
MOST_TRIES = 4
"""Workers that may end during a trial before it is left alone."""
NAME, WORKER, BEAT, ERROR = "name", "worker", "beat", "error"
"""User attributes of a trial that this module writes."""


class TakenOver(Exception):  # noqa: N818 - said as a person would
    """Trial that another worker does now: this one gave no sign of life for too long."""


@dataclass(frozen=True)
class Trial:
    """Trial as the study has it."""

    name: str
    facts: Mapping[str, Any]
    """Values that were added with the trial, and those that its worker kept."""
    state: str
    """"waiting", "running", "done", or "lost" after too many workers ended in it."""

    @property
    def error(self) -> str:
        """The reason for which the trial could not be done; empty where it could."""
        return str(self.facts.get(ERROR, ""))


class Study:
    """Trials by their names. The first trial of a name that has not failed counts; no other one is ever done.

    A trial whose worker ended has failed, and is added again. Two workers may add the same trial at the same moment:
    the later one stays undone.
    """

    def __init__(self, place: str, name: str, *, option: str = "") -> None:
        """Open the study of a name. Raises InputError for a storage that cannot be opened, said after `option`."""
        self._storage = open_storage(place, option=option)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR),
        )
        self._worker = this_worker()
        self._beats: dict[int, tuple[Any, float]] = {}
        """Number of a trial -> its last sign of life, and the moment at which this process saw it first."""

    @property
    def trials(self) -> list[Trial]:
        """The trials that count, in the order in which they were added."""
        return [Trial(name, trial.user_attrs, _word(trial.state)) for name, (trial, _) in self._current().items()]

    def add(self, name: str, **facts: Any) -> None:
        """Add a trial, to be done once by any worker."""
        self._study.enqueue_trial({}, user_attrs={**facts, NAME: name})

    def claim(self, names: Collection[str]) -> Claim | None:
        """Take the first of these trials that waits, or whose worker ended; None where there is none."""
        for name in names:
            trial, tries = self._current().get(name, (None, 0))
            if trial is not None and trial.state == TrialState.RUNNING and self._is_abandoned(trial):
                self._fail(trial)
                trial, tries = self._current()[name]
            if trial is not None and trial.state == TrialState.FAIL and tries < MOST_TRIES:
                own = (WORKER, BEAT, ERROR)
                self.add(**{key: value for key, value in trial.user_attrs.items() if key not in own})
                trial, _ = self._current()[name]
            if trial is not None and trial.state == TrialState.WAITING and self._take(trial):
                return Claim(self._study, trial, self._worker)
        return None

    def _current(self) -> dict[str, tuple[FrozenTrial, int]]:
        """Return the trial that counts of each name, and the number of its failed ones."""
        found: dict[str, tuple[FrozenTrial, int]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            name = trial.user_attrs[NAME]
            counts, failed = found.get(name, (trial, 0))
            later = counts.state == TrialState.FAIL
            found[name] = (trial if later else counts, failed + (trial.state == TrialState.FAIL))
        return found

    def _take(self, trial: FrozenTrial) -> bool:
        with suppress(UpdateFinishedTrialError):
            return bool(self._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING))
        return False

    def _fail(self, trial: FrozenTrial) -> None:
        with suppress(UpdateFinishedTrialError, ValueError):  # another worker was quicker
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        """Return whether the trial's worker ended; clocks of other machines are not compared."""
        worker, beat = trial.user_attrs.get(WORKER), trial.user_attrs.get(BEAT)
        if worker is not None and is_gone(worker):
            return True
        seen, since = self._beats.setdefault(trial.number, (beat, time.monotonic()))
        if seen != beat:
            self._beats[trial.number] = (beat, time.monotonic())
            return False
        return time.monotonic() - since > (UNNAMED_S if worker is None else LEASE_S)


class Claim:
    """Trial that this process does."""

    def __init__(self, study: optuna.Study, trial: FrozenTrial, worker: Mapping[str, Any]) -> None:
        self.name = str(trial.user_attrs[NAME])
        self.facts: Mapping[str, Any] = trial.user_attrs
        self._study, self._worker = study, worker
        self._trial = optuna.trial.Trial(study, trial._trial_id)
        self._told = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Give signs of life while the trial is done. What ends it without an answer leaves it to another worker."""
        self.keep(**{WORKER: self._worker, BEAT: 0})
        ended = Event()
        beats = Thread(target=self._beat, args=(ended,), daemon=True)
        beats.start()
        try:
            yield
        finally:
            ended.set()
            beats.join()
            if not self._told:
                with suppress(UpdateFinishedTrialError, ValueError):
                    self._study.tell(self._trial, state=TrialState.FAIL)

    def keep(self, **facts: Any) -> None:
        """Keep values with the trial. Raises TakenOver where another worker has it."""
        with self._own():
            for key, value in facts.items():
                self._trial.set_user_attr(key, value)

    def goes_on(self, step: int, value: float) -> bool:
        """Report a value; return whether the trial is among those that are trained further.

        Raises TakenOver where another worker has it.
        """
        with self._own():
            self._trial.report(value, step)
            return not self._trial.should_prune()

    def finish(self, value: float | None = None, *, error: str = "") -> None:
        """End the trial with its value; without one, as one that is not trained further, or that cannot be done.

        Raises TakenOver where another worker has it.
        """
        if error:
            self.keep(**{ERROR: error})
        with self._own():
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            self._study.tell(self._trial, value, state)
            self._told = True

    @contextmanager
    def _own(self) -> Iterator[None]:
        try:
            yield
        except (UpdateFinishedTrialError, ValueError) as error:
            self._told = True
            raise TakenOver(self.name) from error

    def _beat(self, ended: Event) -> None:
        beat = 0
        while not ended.wait(BEAT_S):
            beat += 1
            with suppress(Exception):  # the next sign of life may arrive
                self._trial.set_user_attr(BEAT, beat)


def _word(state: TrialState) -> str:
    words = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running", TrialState.FAIL: "lost"}
    return words.get(state, "done")

"""Checkpointer: save a training at every interval, after every epoch, and when a signal asks to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pennyweight.core.signals import Stop
from pennyweight.train.checkpoint import Checkpoints

__all__ = ["Checkpointer"]

State = dict[str, Any]


class Checkpointer:
    """Saver of checkpoints, every `every_s` seconds and after epochs. Without `checkpoints` it saves nothing.

    `stop` says whether a signal came, and ends the training once its state is safe. `spent_s` is how long this process
    has worked on it already.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None = None,
        *,
        every_s: float = 300.0,
        stop: Stop | None = None,
        spent_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checkpoints = checkpoints
        self.every_s = every_s
        self.stop = stop or Stop()
        self.before: Callable[[], None] = lambda: None
        """Function that every rank calls before a checkpoint is saved."""
        self._clock = clock
        self._saved = clock()
        self._began = self._saved - spent_s
        self.earlier_s: float | None = None
        """Seconds of the processes before this one; None until they are known."""

    @property
    def spent_s(self) -> float:
        """Seconds of the training, those of the processes before this one included as far as their state was kept."""
        return (self.earlier_s or 0.0) + self._clock() - self._began

    def latest(self) -> State | None:
        """Return the state to resume from, or None."""
        kept = None if self.checkpoints is None else self.checkpoints.latest()
        if self.earlier_s is None:  # what is asked for later, this process has kept itself
            self.earlier_s = 0.0 if kept is None else kept.get("spent_s", 0.0)
        return kept

    @property
    def wish(self) -> tuple[float, float]:
        """(1 when an interval has passed, 1 when a signal asks to stop): numbers, so that ranks can add them up."""
        return float(self._clock() - self._saved >= self.every_s), float(self.stop.asked is not None)

    def save(self, state: State, *, writes: bool) -> None:
        """Save a checkpoint now, if this process is the one that writes."""
        self.before()
        if self.checkpoints is not None and writes:
            self.checkpoints.save(state | {"spent_s": self.spent_s})
        self._saved = self._clock()

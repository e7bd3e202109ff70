"""Estimate of the time until training ends, from the length of recent epochs and the work in those to come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import fmean

__all__ = ["TimeLeft"]

RECENT_EPOCHS = 5
"""Epochs whose mean length predicts the rest; the first epoch is often slower than all others."""


class TimeLeft:
    """Estimate for a training of `epochs` epochs, of which the first `apart` are of another kind (a linear probe).

    Epochs need not be alike: `work` gives the amount of work in a range of epochs, counted from 1 after those apart, in
    any unit; progressive resizing makes later epochs longer. By default every epoch is one unit.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs, self.apart = epochs, 0
        self._work_of: Callable[[range], float] = len
        self._seconds_per_work: deque[float] = deque(maxlen=RECENT_EPOCHS)
        self._epoch = 0
        self._share = 1.0
        self._measure_work()

    def expect(self, epochs: int, *, apart: int | None = None, work: Callable[[range], float] | None = None) -> None:
        """Change what the estimate rests on; what is not given stays as it was."""
        self.epochs = epochs
        self.apart = self.apart if apart is None else apart
        self._work_of = work or self._work_of
        self._measure_work()

    def begin(self, epoch: int, share: float) -> None:
        """Begin an epoch of which `share` (0 to 1) is to be done; less than 1 after a resume in its middle."""
        self._epoch, self._share = epoch, share
        self._measure_work()

    def finish(self, seconds: float) -> None:
        """Learn from an epoch that took `seconds`."""
        if self._work:  # 0 for an epoch apart, or one resumed before its validation
            self._seconds_per_work.append(seconds / self._work)

    def seconds(self, spent: float, *, done: int, steps: int, finished: bool) -> float | None:
        """Return the seconds until the last epoch ends; None until there is anything to judge by.

        `spent` seconds went into the present epoch, which is `finished`, or has done `done` of `steps`
        steps, both counted since it began or was resumed.
        """
        if self._epoch <= self.apart < self.epochs:
            return None
        by_steps = spent * steps / done if done else 0.0  # length of this epoch, judged by its own steps
        if self._seconds_per_work:
            per_work = fmean(self._seconds_per_work)
        elif done and self._work:
            per_work = by_steps / self._work
        else:
            return None
        expected = per_work * self._work
        rest = 0.0 if finished else max((expected if expected > spent else by_steps) - spent, 0.0)
        return rest + per_work * self._work_to_come

    def _measure_work(self) -> None:
        """Measure the work in the present epoch and in those after it."""
        epoch, last = self._epoch - self.apart, self.epochs - self.apart
        present, to_come = range(max(epoch, 1), epoch + 1), range(max(epoch, 0) + 1, last + 1)
        self._work = self._share * (self._work_of(present) if present else 0.0)
        self._work_to_come = self._work_of(to_come) if to_come else 0.0

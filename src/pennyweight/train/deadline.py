"""Deadline of a training: the rest of its schedule follows a machine that gets busier or quieter."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.recipe import Recipe
from pennyweight.train.time_budget import Pace

__all__ = ["RESERVE", "SPARE", "Deadline", "TooFewMinutes"]

RESERVE = 0.022
"""Share of all the time, kept for what was not measured: the report, a last epoch that takes longer."""
SPARE = 0.005
"""Share of the remaining time that no plan uses: the machine may get busier."""
MENDED = 0.02
"""Share of the remaining time by which a plan may exceed it: plans after later epochs can still correct that."""
WORTH = 1.05
"""Smallest factor of more epochs for which a new plan is made."""
RECENT, RECENT_SHARE = 3, 0.05
"""Number of the last epochs, and share of all epochs, that give the present speed of the machine."""


class TooFewMinutes(InputError):  # noqa: N818 - said as a person would
    """Minutes of a training that are over before it begins."""


class Deadline:
    """Deadline in `left_s` seconds, before which the epochs end. `pace` was measured for pictures of `size`."""

    def __init__(self, left_s: float, pace: Pace, size: Size, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.left_s, self.pace, self.size = left_s, pace, size
        self._clock = clock
        self._end = clock() + left_s * (1 - RESERVE)
        self._ends: list[float] = []

    def first(self, recipe: Recipe, before_s: float = 0.0) -> Recipe:
        """Return the recipe with the epochs that fit the time after `before_s` seconds of other work; at least one."""
        left_s = self.left_s * (1 - RESERVE - SPARE) - before_s
        return replace(recipe, epochs=self.pace.epochs_within(left_s, recipe, self.size))

    def fitted(self, recipe: Recipe, plan: EpochPlan, done: int) -> EpochPlan:
        """Return the same plan after `done` epochs, or one whose rest fits the time that is left.

        The loop asks after every epoch. The first epoch, which also warms up, says nothing of the next.
        """
        self._ends.append(self._clock())
        recent = min(len(self._ends) - 1, max(RECENT, int(RECENT_SHARE * plan.epochs)))
        if not recent or done >= plan.epochs:
            return plan
        slower = self._slower(recipe, plan, done, recent)
        left_s = self._end - self._ends[-1]

        def rest_s(epochs: int) -> float:
            planned = plan.stretched(epochs, after=done)
            return slower * self.pace.seconds_of(range(done + 1, epochs + 1), recipe, self.size, planned)

        def fitting(seconds: float) -> int:
            return done + max(1, bisect_right(range(done + 1, 2 * plan.epochs + 1), seconds, key=rest_s))

        at_most_s = left_s * (1 + MENDED)
        if slower * self.pace.seconds_of(range(done + 1, plan.epochs + 1), recipe, self.size, plan) > at_most_s:
            epochs = fitting(at_most_s)
        else:
            epochs = fitting(left_s * (1 - SPARE))
            if epochs < WORTH * plan.epochs:
                return plan
        return plan if epochs == plan.epochs else plan.stretched(epochs, after=done)

    def _slower(self, recipe: Recipe, plan: EpochPlan, done: int, recent: int) -> float:
        """Return the factor by which the `recent` epochs took longer than measured, one planned epoch included."""
        expected_s = self.pace.seconds_of(range(done - recent + 1, done + 1), recipe, self.size, plan)
        measured_s = expected_s / recent
        return (self._ends[-1] - self._ends[-1 - recent] + measured_s) / (expected_s + measured_s)

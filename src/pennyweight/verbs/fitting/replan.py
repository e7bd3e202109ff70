"""Re-plan a training with `--minutes` while it runs: fit the rest to the time, note it, and keep it in run.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pennyweight.core.frame import Size
from pennyweight.train import Recipe
from pennyweight.train.deadline import Deadline
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.phase import Replan
from pennyweight.train.time_budget import Pace
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["repeated", "replanning", "work_of"]


def work_of(
    measured: Mapping[str, Any] | None, recipe: Recipe, size: Size, plan: EpochPlan | None = None
) -> Callable[[range], float]:
    """Return a function from epochs to their work: seconds where they were measured, else their number."""
    pace = (measured or {}).get("pace")
    return len if pace is None else partial(Pace(**pace).seconds_of, recipe=recipe, size=size, plan=plan)


def repeated(work: Callable[[range], float], epochs: int, apart: int) -> Callable[[range], float]:
    """Return `work` for several trainings of `epochs` epochs each, of which the first `apart` have no work.

    Epochs count from 1 after those of the first training that are apart, as `TimeLeft` counts them.
    """

    def of(some: range) -> float:
        own = [(number + apart - 1) % epochs - apart + 1 for number in some]
        return sum(work(range(number, number + 1)) for number in own if number > 0)

    return of


def replanning(deadline: Deadline | None, recipe: Recipe, session: RunSession) -> Replan | None:
    """Return the function that the loop calls after every epoch; None without a deadline.

    All ranks do as the first one's clock says.
    """
    if deadline is None:
        return None

    def replan(plan: EpochPlan, done: int) -> EpochPlan:
        fitted = session.ranks.gather(deadline.fitted(recipe, plan, done))[0]
        if fitted != plan:
            shown, pace = session.shown, "slower" if fitted.epochs < plan.epochs else "quicker"
            fit = f"{fitted.epochs} epoch{'s' * (fitted.epochs > 1)}"
            shown.note(f"this machine got {pace}: {fit} in the time given, not {plan.epochs}")
            work = work_of(session.record.speed, recipe, deadline.size, fitted)
            shown.expect(shown.epochs + fitted.epochs - plan.epochs, work=work)
            # The checkpoint that follows counts, should a kill come between the two.
            session.write(recipe=recipe.to_record(fitted))
        return fitted

    return replan

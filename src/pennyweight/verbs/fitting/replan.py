"""Re-plan a training with `--minutes` while it runs: fit the rest to the time, note it, and keep it in run.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pennyweight.train import Recipe
from pennyweight.train.deadline import Deadline
from pennyweight.train.time_budget import Pace
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["replanning", "work_of"]


def work_of(measured: Mapping[str, Any] | None, recipe: Recipe, size: int) -> Callable[[range], float]:
    """Return a function from epochs to their work: seconds where they were measured, else their number."""
    pace = (measured or {}).get("pace")
    return len if pace is None else partial(Pace(**pace).seconds_of, recipe=recipe, size=size)


def replanning(deadline: Deadline | None, session: RunSession) -> Callable[[Recipe, int], Recipe] | None:
    """Return the function that the loop calls after every epoch; None without a deadline.

    All ranks do as the first one's clock says.
    """
    if deadline is None:
        return None

    def replan(recipe: Recipe, done: int) -> Recipe:
        fitted = session.ranks.gather(deadline.fitted(recipe, done))[0]
        if fitted != recipe:
            shown, pace = session.shown, "slower" if fitted.epochs < recipe.epochs else "quicker"
            fit = f"{fitted.epochs} epoch{'s' * (fitted.epochs > 1)}"
            shown.note(f"this machine got {pace}: {fit} in the time given, not {recipe.epochs}")
            work = work_of(session.record.speed, fitted, deadline.size)
            shown.expect(shown.epochs + fitted.epochs - recipe.epochs, work=work)
            # The checkpoint that follows counts, should a kill come between the two.
            session.write(recipe=fitted.to_dict())
        return fitted

    return replan

"""`--minutes` while a training runs: what its schedule is fitted to anew is said, and stands in run.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pennyweight.core.run import write_record
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Ranks, Recipe
from pennyweight.train.deadline import Deadline
from pennyweight.train.time_budget import Pace

__all__ = ["refitting", "work_of"]


def work_of(measured: Mapping[str, Any] | None, recipe: Recipe, size: int) -> Callable[[range], float]:
    """Of the epochs of `recipe`: seconds, where the parts of one were measured; else all are taken to be alike."""
    pace = (measured or {}).get("pace")
    return len if pace is None else partial(Pace(**pace).seconds_of, recipe=recipe, size=size)


def refitting(
    deadline: Deadline | None, path: Path, record: dict[str, Any], shown: TrainingProgress, ranks: Ranks
) -> Callable[[Recipe, int], Recipe] | None:
    """What the loop asks after every epoch, where there is a deadline; `path` is of run.json, which holds `record`.

    All ranks do as the first one's clock says.
    """
    if deadline is None:
        return None

    def refit(recipe: Recipe, done: int) -> Recipe:
        fitted = ranks.gather(deadline.fitted(recipe, done))[0]
        if fitted != recipe:
            pace = "slower" if fitted.epochs < recipe.epochs else "quicker"
            fit = f"{fitted.epochs} epoch{'s' * (fitted.epochs > 1)}"
            shown.note(f"this machine got {pace}: {fit} in the time given, not {recipe.epochs}")
            work = work_of(record["speed"], fitted, deadline.size)
            shown.expect(shown.epochs + fitted.epochs - recipe.epochs, work=work)
            record["recipe"] = fitted.to_dict()
            if not ranks.number:
                # The checkpoint that follows counts, should a kill come between the two.
                write_record(path, record)
        return fitted

    return refit

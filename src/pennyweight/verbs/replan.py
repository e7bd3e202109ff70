"""`--minutes` while a training runs: what its schedule is fitted to anew is said, and stands in run.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pennyweight.core.files import write_json
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Ranks, Recipe
from pennyweight.train.deadline import Deadline

__all__ = ["refitting"]


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
            shown.note(f"this machine got {pace}: {fitted.epochs} epochs fit the time, not {recipe.epochs}")
            shown.epochs += fitted.epochs - recipe.epochs
            record["recipe"] = fitted.to_dict()
            if not ranks.number:
                # The checkpoint that follows counts, should a kill come between the two.
                write_json(path, record)
        return fitted

    return refit

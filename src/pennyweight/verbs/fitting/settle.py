"""Settle precision, layout and number of epochs: measure for a new run, read the record of a resumed run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from pennyweight.train import Recipe
from pennyweight.train.deadline import Deadline
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.out_of_memory import explaining_out_of_memory
from pennyweight.verbs.fitting.estimate import estimate, trainings_in_folds
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.prepare import prepare
from pennyweight.verbs.fitting.replan import repeated, work_of
from pennyweight.verbs.fitting.resume import note_changed_machine
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["Settled", "settle_schedule"]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Measurements of a run's steps, and the deadline of its epochs."""

    measured: Mapping[str, Any] | None
    deadline: Deadline | None = None


def settle_schedule(fitting: PictureFit, session: RunSession) -> Settled:
    """Replace the recipe of `fitting.plan` by the measured or recorded one, and show the expected epochs.

    Raises PennyweightError if the checks of `prepare` fail.
    """
    settled = _measure(fitting, session) if session.begins else _resume(fitting, session)
    plan = fitting.plan
    work = work_of(settled.measured, plan.recipe, plan.preprocess.size, plan.replanned)
    epochs, apart = plan.epochs, plan.epochs - plan.recipe.epochs
    if fitting.networks_in_folds:
        epochs, work = epochs * (fitting.folds + 1), repeated(work, epochs, apart)
    session.shown.expect(epochs, apart=apart, work=work)
    return settled


def _measure(fitting: PictureFit, session: RunSession) -> Settled:
    """Check and measure a new run, and note how long it will take."""
    request, plan, note = fitting.request, fitting.plan, session.shown.note
    spent_s = perf_counter() - session.terms.started
    # The first rank's, which decides for all.
    left_s = None if request.minutes is None else fitting.ranks.gather(request.minutes * 60 - spent_s)[0]
    pictures = fitting.pictures
    if fitting.networks_in_folds:
        own = fitting.fold_numbers == 0
        pictures = {
            "train": fitting.scored.part(~own),
            "val": fitting.scored.part(own),
            "test": fitting.scored.part(own),
        }
        left_s = None if left_s is None else left_s / trainings_in_folds(fitting.folds)
    with explaining_out_of_memory(plan.recipe.batch, plan.recipe.accumulate):
        plan, measured, deadline = prepare(
            plan, fitting.network, pictures, ranks=fitting.ranks, teacher=fitting.teacher, left_s=left_s,
            speed=request.speed, preflight=request.preflight, note=note,
        )  # fmt: skip
        if request.progress and deadline is None:
            note(
                estimate(
                    plan,
                    fitting.network,
                    pictures,
                    ranks=fitting.ranks,
                    teacher=fitting.teacher,
                    folds=fitting.folds,
                )
            )
        if fitting.networks_in_folds and deadline is not None:
            note(f"the {fitting.folds + 1} trainings of folds share --minutes; the epochs stay as planned")
    fitting.plan = plan
    return Settled(measured=measured, deadline=deadline)


def _resume(fitting: PictureFit, session: RunSession) -> Settled:
    """Take the recipe that the run was trained by, and note what differs on this machine."""
    note_changed_machine(session.record, session.ranks, session.shown.note)
    kept = session.checkpoints.latest()
    # The checkpoint's plan counts: a kill may have come between it and the record.
    newest = session.record.recipe if kept is None or kept["phase"] != "network" or "stretches" not in kept else kept
    epochs = EpochPlan.from_dict(newest)
    recipe = replace(Recipe.from_dict(session.record.recipe), epochs=epochs.epochs)
    fitting.plan = replace(fitting.plan, recipe=recipe, replanned=epochs)
    session.amend(recipe=fitting.plan.recorded_recipe)
    return Settled(measured=session.record.speed)

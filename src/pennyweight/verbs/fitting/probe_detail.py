"""Choose the input size of a training from scratch: find out if small filters see more in larger pictures."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from pennyweight.core.figures import several
from pennyweight.core.frame import Size, as_size, show_size, sides_of
from pennyweight.train.small_filters import filter_responses
from pennyweight.verbs.fitting.auto_width import ENOUGH, SHARE
from pennyweight.verbs.fitting.estimate import few_steps
from pennyweight.verbs.fitting.size_trial import (
    FOLDS,
    LEAST,
    LEAST_ERRORS,
    SizeTrial,
    TrialPictures,
    better,
    median_scale,
)

if TYPE_CHECKING:
    from pennyweight import data
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = ["doubled", "probe_detail"]

LUCK = 0.01
"""Largest probability that a gain as large is luck: a larger input makes the whole training longer."""
PERHAPS = 0.2
"""The same, up to which a line says that more detail may help."""
WORK = "4 times the work"
"""Cost of sides that are twice as long."""


def probe_detail(
    fitting: PictureFit, at: Callable[[Size], PictureFit | None], minutes: float | None, shown: TrainingProgress
) -> tuple[PictureFit, str]:
    """Return the training at the input size whose detail it needs, and a line on it; empty without a trial.

    The trial needs no training: a logistic regression on the responses of small fixed filters answers training pictures
    in folds, with scales up to the usual size and up to twice that size. The larger size is taken where it answers more
    pictures correctly by more than luck, and where the time has room for it. If so, twice that size again is tried, for
    the line alone.

    Args:
        fitting: The training from scratch, at the usual size.
        at: Function that returns the training at another size; None for a size that the network does not take.
        minutes: Minutes that are left; None without a limit.
        shown: Progress of the trial.
    """
    usual, frame = fitting.plan.preprocess.size, fitting.plan.preprocess.frame
    pictures = TrialPictures(fitting)

    def scale(size: Size) -> float:
        return median_scale(fitting.headers, size, frame)

    larger = doubled(usual, scale)
    if not larger or len(pictures) < LEAST:
        return fitting, ""
    if fitting.folds > 1:
        insist = f"--input-size {show_size(larger[0], 'x')}"
        left = f"no other size is tried, because folds score the pictures that would choose it: {insist}"
        return fitting, f"input {show_size(usual)}: {left}"
    (double,), fourfold = larger, doubled(larger[0], scale)
    trials, read = _try(fitting, pictures, (usual, double), shown)
    if len(trials) < 2:
        return fitting, ""
    gains = better(trials[0], trials[1], LUCK)
    if gains and trials[-1].errors >= LEAST_ERRORS and fourfold:
        trials += _try(fitting, pictures, fourfold, shown)[0]
    tried = (
        f"accuracy of small filters on {len(pictures)} training pictures in {FOLDS} folds: "
        f"{'; '.join(trial.text for trial in trials)}"
    )
    insist = f"--input-size {show_size(double, 'x')}"
    if not gains:
        may = f"more detail may help, at {WORK}: {insist}" if better(trials[0], trials[1], PERHAPS) else ""
        return fitting, f"input {show_size(usual)}: {may or 'more detail brings no more'}; {tried}"
    lose = f"pictures have detail that {show_size(usual)} pixels lose"
    if len(trials) > 2 and better(trials[1], trials[2], LUCK):
        tried += f"; --input-size {show_size(fourfold[0], 'x')} has still more detail, at 16 times the work"
    other = at(double)
    if other is None:
        fixed = f"{fitting.plan.model['name']} takes no other size as it was configured"
        return fitting, f"input {show_size(usual)}: {lose}, but {fixed}; {tried}"
    assert read is not None
    epochs = _epochs(other, read, minutes)
    if epochs < ENOUGH:
        room = f"only {several(int(epochs), 'epoch')} at {show_size(double)} would fit --minutes"
        return fitting, f"input {show_size(usual)}: {lose}, but {room}; {insist} takes it all the same; {tried}"
    spare = f"{WORK}; --input-size {show_size(usual, 'x')} spares it"
    return other, f"input {show_size(double)}: {lose}, at {spare}; {tried}"


def doubled(usual: Size, scale: Callable[[Size], float]) -> tuple[Size, ...]:
    """Return the size with sides twice as long, if it does not enlarge the median picture; nothing else."""
    double = as_size([2 * side for side in sides_of(usual)])
    return (double,) if scale(double) <= 1 else ()


def _try(
    fitting: PictureFit, pictures: TrialPictures, sizes: tuple[Size, ...], shown: TrainingProgress
) -> tuple[list[SizeTrial], data.Pictures | None]:
    """Return a trial of each size, and the pictures at the largest one; no further trial after one with few errors.

    Every picture is read once, at the largest size: halves of it stand for the smaller sizes. Every rank takes the
    answers of the first: filters on another machine may differ in their last bits.
    """
    preprocess = fitting.plan.preprocess.at(sizes[-1])
    read = pictures.read(preprocess)
    if not all(fitting.ranks.gather(read is not None)):
        return [], None
    assert read is not None
    return fitting.ranks.gather(_answers(pictures, read, sizes, shown))[0], read


def _answers(
    pictures: TrialPictures, read: data.Pictures, sizes: tuple[Size, ...], shown: TrainingProgress
) -> list[SizeTrial]:
    """Return a trial of each size on this rank, none after one with few errors."""
    responses = []
    with shown.phase(f"small filters at {show_size(sizes[-1])} pixels", len(read)) as phase:
        for number in range(len(read)):
            responses.append(filter_responses(read.pixels(np.array([number]))[0]))
            phase.advance(1)
    trials: list[SizeTrial] = []
    for size in sizes:
        seen = [side for side in responses[0] if side <= min(sides_of(size))]
        values = np.stack([np.concatenate([each[side] for side in seen]) for each in responses])
        answers = pictures.answer(values, read)
        if answers is None:
            break
        trials.append(SizeTrial(size, answers.correct))
        if trials[-1].errors < LEAST_ERRORS:
            break
    return trials


def _epochs(fitting: PictureFit, pictures: data.Pictures, minutes: float | None) -> float:
    """Return the epochs that fit the minutes, as a few steps on `pictures` suggest; infinite without a limit."""
    if minutes is None:
        return inf
    plan, ranks = fitting.plan, fitting.ranks
    pace = few_steps(
        fitting.network, pictures, pictures, plan.recipe, preprocess=plan.preprocess, epochs=1, ranks=ranks,
        seed=plan.seed, teacher=fitting.teacher,
    )  # fmt: skip
    picture_s = pace.step_s * pictures.steps(plan.recipe.batch) / len(pictures)
    epochs: float = ranks.gather(SHARE * 60 * minutes * ranks.count / (picture_s * len(fitting.splits.train)))[0]
    return epochs

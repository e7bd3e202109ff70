"""Choose the input size of a linear probe: compare features of training pictures at several sizes in folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pennyweight.core.frame import Size, as_size, show_size, sides_of
from pennyweight.verbs.fitting.size_trial import (
    FOLDS,
    LEAST,
    LEAST_ERRORS,
    SizeTrial,
    TrialPictures,
    chosen_of,
    median_scale,
)

if TYPE_CHECKING:
    from pennyweight import data
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = ["choose_size", "sizes_to_try", "why"]

SHARES = (10 / 7, 2.0)
"""Larger sizes to try, as multiples of the usual one: two and four times the work."""
MULTIPLE = 32
"""Sizes are multiples of this: the stride of most networks."""


def choose_size(
    fitting: PictureFit, at: Callable[[Size], PictureFit | None], shown: TrainingProgress
) -> tuple[PictureFit, str]:
    """Return the training at the input size that is worth its time, and a line on the choice; empty without a trial.

    A larger size is tried where the usual one makes enough mistakes, and pictures are large enough. It is taken where
    it answers more pictures correctly, by more than luck.

    Args:
        fitting: The training of a last layer, at the usual size.
        at: Function that returns the training at another size; None for a size that the network does not take.
        shown: Progress of the trials.
    """
    frame = fitting.plan.preprocess.frame
    sizes = sizes_to_try(fitting.plan.preprocess.size, lambda size: median_scale(fitting.headers, size, frame))
    pictures = TrialPictures(fitting)
    if not sizes or len(pictures) < LEAST:
        return fitting, ""
    first = _try(fitting, pictures, shown)
    if first is None or first.errors < LEAST_ERRORS:
        return fitting, ""
    trials, at_size = [first], {first.size: fitting}
    for size in sizes:
        other = at(size)
        if other is None:
            break
        trial = _try(other, pictures, shown)
        assert trial is not None  # of the same pictures
        trials.append(trial)
        at_size[trial.size] = other
    if len(trials) == 1:
        return fitting, ""
    chosen = chosen_of(trials)
    return _in_folds(at_size, trials, chosen), why(trials, chosen)


def _in_folds(at_size: Mapping[Size, PictureFit], trials: Sequence[SizeTrial], chosen: SizeTrial) -> PictureFit:
    """Return the training at the chosen size, with the input that each fold's head has.

    A fold does not choose the size at which it is answered: its pictures neither count nor teach there. A network
    that is another one at another size, such as a ViT, has the chosen size in every fold.
    """
    fitting = at_size[chosen.size]
    if fitting.folds == 1 or any(other.plan.model != fitting.plan.model for other in at_size.values()):
        return fitting
    sizes = [chosen_of(trials, fold).size for fold in range(fitting.folds)]
    if set(sizes) == {chosen.size}:
        return fitting
    return replace(fitting, fold_inputs=tuple(at_size[size].plan.preprocess for size in sizes))


def sizes_to_try(usual: Size, scale: Callable[[Size], float]) -> tuple[Size, ...]:
    """Return the larger sizes to try, which do not enlarge the median picture. `scale` gives its scale at a size."""
    found = [tuple(round(side * factor / MULTIPLE) * MULTIPLE for side in sides_of(usual)) for factor in SHARES]
    larger = [as_size(sides) for sides in found if min(sides) > min(sides_of(usual))]
    return tuple(size for size in larger if scale(size) <= 1)


def _try(fitting: PictureFit, trial: TrialPictures, shown: TrainingProgress) -> SizeTrial | None:
    """Return the answers of heads on the frozen network's features; None for too few pictures, of a class or all.

    Every rank takes those of the first: features on another machine may differ in their last bits.
    """
    pictures = trial.read(fitting.plan.preprocess)
    answered = None if pictures is None else _answers(fitting, trial, pictures, shown)
    return fitting.ranks.gather(answered)[0]


def _answers(
    fitting: PictureFit, trial: TrialPictures, pictures: data.Pictures, shown: TrainingProgress
) -> SizeTrial | None:
    """Return the answers of heads on this rank's features; None for too few pictures of a class."""
    size = fitting.plan.preprocess.size
    answers, picture_ms = trial.answer_timed(fitting, pictures, shown, f"features at {show_size(size)} pixels")
    if answers is None:
        return None
    return SizeTrial(size, answers.correct, f"{picture_ms:.0f} ms", answers.outside)


def why(trials: Sequence[SizeTrial], chosen: SizeTrial) -> str:
    """Return the choice and the trials in a line."""
    tried = "; ".join(each.text for each in trials)
    reason = "more detail tells the classes better" if chosen is not trials[0] else "more detail brings no more"
    return (
        f"input {show_size(chosen.size)}: {reason}; accuracy on {len(chosen.correct)} training pictures in {FOLDS} "
        f"folds, and time for each: {tried}"
    )

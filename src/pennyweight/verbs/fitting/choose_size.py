"""Choose the input size of a linear probe: compare features of training pictures at several sizes in folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.frame import Size, as_size, show_size, sides_of
from pennyweight.data.balance import drawn_in_turn
from pennyweight.train.linear_probe import extract_features

if TYPE_CHECKING:
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = ["SizeTrial", "better", "choose_size", "sizes_to_try", "why"]

SHARES = (10 / 7, 2.0)
"""Larger sizes to try, as multiples of the usual one: two and four times the work."""
MULTIPLE = 32
"""Sizes are multiples of this: the stride of most networks."""
PICTURES = 160
"""Training pictures that are compared."""
LEAST = 40
"""Fewest pictures that can show a difference."""
CLASSES = 20
"""Most classes among these pictures, so that each has several."""
FOLDS = 5
LUCK = 0.05
"""Largest probability that a gain as large is luck (one-sided sign test on the pictures that only one size gets right).
"""
LEAST_ERRORS = 5
"""Errors without which no gain can be told from luck."""


class SizeTrial(NamedTuple):
    """Accuracy and time of an input size."""

    size: Size
    correct: NDArray[np.bool_]
    """(N,): True for a picture that was answered correctly by a head that had not seen it."""
    picture_ms: float
    """Milliseconds for the features of a picture, decoding included."""

    @property
    def text(self) -> str:
        """The trial in words."""
        return f"{show_size(self.size)} pixels {share(float(self.correct.mean()))}, {self.picture_ms:.0f} ms"


def choose_size(
    fitting: PictureFit, at: Callable[[Size], PictureFit], shown: TrainingProgress
) -> tuple[PictureFit, str]:
    """Return the training at the input size that is worth its time, and a line on the choice; empty without a trial.

    A larger size is tried where the usual one makes enough mistakes, and pictures are large enough. It is taken where
    it answers more pictures correctly, by more than luck.

    Args:
        fitting: The training of a last layer, at the usual size.
        at: Function that returns the training at another size.
        shown: Progress of the trials.

    Raises InputError if the network cannot take another size.
    """
    usual = fitting.plan.preprocess.size
    train = fitting.splits.train
    sizes = sizes_to_try(usual, _median_short_side(fitting))
    numbers = _spread(np.array([sample.label for sample in train], np.int64))
    if not sizes or len(numbers) < LEAST:
        return fitting, ""
    samples = [train[number] for number in numbers.tolist()]
    moments = data.moments_of(fitting.source, fitting.twins, samples)
    first = _try(fitting, samples, moments, shown)
    if first is None or int((~first.correct).sum()) < LEAST_ERRORS:
        return fitting, ""
    chosen, trials = (fitting, first), [first]
    for size in sizes:
        other = at(size)
        trial = _try(other, samples, moments, shown)
        assert trial is not None  # of the same pictures
        trials.append(trial)
        if better(chosen[1], trial):
            chosen = (other, trial)
    return chosen[0], why(trials, chosen[1])


def sizes_to_try(usual: Size, short_side: float) -> tuple[Size, ...]:
    """Return the larger sizes to try, which pictures with a median short side of `short_side` pixels fill."""
    found = (tuple(round(side * factor / MULTIPLE) * MULTIPLE for side in sides_of(usual)) for factor in SHARES)
    return tuple(as_size(sides) for sides in found if min(sides_of(usual)) < min(sides) <= short_side)


def _spread(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw pictures for a trial, from the largest classes in turn. (N,) -> (n,), at most PICTURES.

    The seed of the training does not change them, so that trainings with several seeds have the same input.
    """
    classes, counts = np.unique(targets, return_counts=True)
    large = np.sort(classes[np.argsort(-counts, kind="stable")[:CLASSES]])
    numbers = np.flatnonzero(np.isin(targets, large))
    return numbers[drawn_in_turn(targets[numbers], PICTURES, seed=0)]


def _try(
    fitting: PictureFit,
    samples: Sequence[data.Sample],
    moments: NDArray[np.int64] | None,
    shown: TrainingProgress,
) -> SizeTrial | None:
    """Compare the classes of `samples` with those that heads answer, each trained on the features of the other folds.

    Args:
        fitting: The training at the size to try.
        samples: N training pictures.
        moments: (N,) numbers of the moments that they show: pictures of one stay in a fold. None where unknown.
        shown: Progress of the trial.

    Returns:
        The trial; None where fewer than LEAST pictures can be read, or too few of a class.
    """
    plan = fitting.plan
    pictures = data.make_pictures(fitting.source, samples, plan.preprocess)
    pictures.read()
    readable = {sample.name for sample in pictures.samples}
    kept = np.array([sample.name in readable for sample in samples])
    if len(pictures) < LEAST:
        return None
    started = perf_counter()
    with shown.phase(f"features at {show_size(plan.preprocess.size)} pixels", len(pictures)) as phase:
        features = extract_features(
            fitting.network, pictures, plan.recipe,
            views=0, seed=plan.seed, device=fitting.ranks.device, advance=phase.advance,
        )  # fmt: skip
    spent_ms = (perf_counter() - started) * 1000
    groups = np.arange(len(pictures)) if moments is None else moments[kept]
    correct = _cross_validated(features.values[0], features.targets[0], groups)
    if correct is None:
        return None
    whole = np.zeros(len(samples), np.bool_)
    whole[kept] = correct
    return SizeTrial(plan.preprocess.size, whole, spent_ms / len(pictures))


def better(one: SizeTrial, other: SizeTrial) -> bool:
    """Return whether `other` answers more pictures correctly than `one`, by more than luck."""
    gained, lost = (int((a & ~b).sum()) for a, b in ((other.correct, one.correct), (one.correct, other.correct)))
    tosses = gained + lost
    chance = sum(comb(tosses, heads) for heads in range(gained, tosses + 1)) / 2**tosses
    return gained > lost and chance <= LUCK


def why(trials: Sequence[SizeTrial], chosen: SizeTrial) -> str:
    """Return the choice and the trials in a line."""
    beside = "; ".join(each.text for each in trials)
    reason = "more detail tells the classes better" if chosen is not trials[0] else "more detail brings no more"
    return (
        f"input {show_size(chosen.size)}: {reason}; accuracy on {len(chosen.correct)} training pictures in {FOLDS} "
        f"folds, and time for each: {beside}"
    )


def _median_short_side(fitting: PictureFit) -> float:
    """Return the median short side of the pictures in pixels; 0 for a stream, whose pictures were not looked at."""
    if fitting.glances is None:
        return 0.0
    headers = [saved.header for saved in fitting.glances.saved if saved is not None]
    return float(np.median([min(one.height, one.width) for one in headers])) if headers else 0.0


def _cross_validated(
    values: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Return (N,): True where a logistic regression on the other folds answers correctly; None for too few pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    members = [len(np.unique(groups[targets == label])) for label in np.unique(targets)]
    if len(members) < 2 or min(members) < FOLDS:
        return None
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    head = make_pipeline(StandardScaler(), LogisticRegression(C=1 / np.sqrt(values.shape[1]), max_iter=200))
    answers = cross_val_predict(head, values, targets, groups=groups, cv=folds)
    return np.asarray(answers == targets, np.bool_)

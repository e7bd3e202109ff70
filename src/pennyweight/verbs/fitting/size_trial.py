"""Trials of input sizes: training pictures that are answered in folds, and the test of luck between two sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb, inf
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.frame import Frame, Size, scale_of, show_size, sides_of
from pennyweight.core.picture_header import Header
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.balance import drawn_in_turn
from pennyweight.data.folds import number_units
from pennyweight.train.linear_probe import extract_features

if TYPE_CHECKING:
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.fitting.network_trial import NetworkTrial
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = [
    "FOLDS",
    "LEAST",
    "LEAST_ERRORS",
    "PICTURES",
    "SizeTrial",
    "TrialAnswers",
    "TrialPictures",
    "better",
    "chosen_of",
    "cross_validated",
    "median_scale",
    "more_correct",
    "outside_of",
]

PICTURES = 160
"""Training pictures that are compared."""
LEAST = 40
"""Fewest pictures that can show a difference."""
CLASSES = 20
"""Most classes among these pictures, so that each has several."""
FOLDS = 5
LUCK = 0.05
"""Largest probability that a gain as large is luck."""
LEAST_ERRORS = 5
"""Errors without which no gain can be told from luck."""


class TrialAnswers(NamedTuple):
    """Answers of heads to the pictures of a trial."""

    correct: NDArray[np.bool_]
    """(N,): True for a picture that was answered correctly by a head that had not seen it."""
    outside: tuple[NDArray[np.bool_] | None, ...] = ()
    """For each fold of the score, (n,) answers to the n pictures outside, of heads that learned from no picture of that
    fold; None where too few pictures of a class are outside."""


class SizeTrial(NamedTuple):
    """Answers at an input size, and what the size costs."""

    size: Size
    correct: NDArray[np.bool_]
    """(N,): True for a picture that was answered correctly by a head that had not seen it."""
    cost: str = ""
    """Time or work of the size, in words."""
    outside: tuple[NDArray[np.bool_] | None, ...] = ()
    """For each fold of the score, the answers that choose for it; see TrialAnswers."""

    @property
    def text(self) -> str:
        """The trial in words."""
        accuracy = f"{show_size(self.size)} pixels {share(float(self.correct.mean()))}"
        return ", ".join(filter(None, (accuracy, self.cost)))

    @property
    def errors(self) -> int:
        """Number of pictures that were answered wrongly."""
        return int((~self.correct).sum())


class TrialPictures:
    """Training pictures that answer at every size, drawn from the largest classes in turn.

    The seed of the training does not change them, so that trainings with several seeds have the same input.
    """

    def __init__(self, fitting: PictureFit, most: int = PICTURES) -> None:
        train, self.source = fitting.splits.train, fitting.source
        numbers = _spread(np.array([sample.label for sample in train], np.int64), most)
        self.samples = [train[number] for number in numbers.tolist()]
        self.groups = number_units(self.source, fitting.twins, self.samples)
        """(N,) numbers of the units of equal pictures, groups and twins: pictures of a unit stay in a fold."""
        self.folds = _folds(fitting, self.samples)
        """(N,) folds in a training that is scored in folds; None without."""

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, preprocess: Preprocess) -> data.Pictures | None:
        """Return the pictures that can be read; None for fewer than LEAST."""
        pictures = data.make_pictures(self.source, self.samples, preprocess)
        pictures.read()
        return pictures if len(pictures) >= LEAST else None

    def answer_timed(
        self, fitting: PictureFit, pictures: data.Pictures, shown: TrainingProgress, text: str
    ) -> tuple[TrialAnswers | None, float]:
        """Return the answers of heads on a training's features, and the milliseconds of a picture's features.

        Args:
            fitting: The training whose network computes the features.
            pictures: The pictures that can be read.
            shown: Progress of the trials.
            text: Name of the trial's phase.

        Returns:
            The answers, None where a class has too few pictures, and the time.
        """
        plan, started = fitting.plan, perf_counter()
        with shown.phase(text, len(pictures)) as phase:
            features = extract_features(
                fitting.network, pictures, plan.recipe,
                views=0, seed=plan.seed, device=fitting.ranks.device, advance=phase.advance,
            )  # fmt: skip
        picture_ms = (perf_counter() - started) * 1000 / len(pictures)
        return self.answer(features.values[0], pictures), picture_ms

    def answer(self, values: NDArray[np.float32], pictures: data.Pictures) -> TrialAnswers | None:
        """Return the answers of heads that learned from the features of other folds, and those that choose for a fold.

        Args:
            values: (n, D) features of the pictures that can be read.
            pictures: These pictures.

        Returns:
            The answers, False for a picture that cannot be read; None where a class has too few pictures.
        """
        readable = {sample.name for sample in pictures.samples}
        kept = np.array([sample.name in readable for sample in self.samples])
        every = np.ones(len(self), np.bool_)

        def answered(which: NDArray[np.bool_], least: int) -> NDArray[np.bool_] | None:
            there, answers = which[kept], np.zeros(len(self), np.bool_)
            correct = cross_validated(values[there], pictures.targets[there], self.groups[kept][there], least)
            if correct is None:
                return None
            answers[kept & which] = correct
            return answers[which]

        correct = answered(every, FOLDS)
        if correct is None:
            return None
        folds = self.folds
        if folds is None:
            return TrialAnswers(correct)
        return TrialAnswers(correct, tuple(answered(folds != fold, 2) for fold in range(int(folds.max()) + 1)))


def _folds(fitting: PictureFit, samples: Sequence[data.Sample]) -> NDArray[np.int64] | None:
    """Return the fold of each sample (N,) in a training that is scored in folds; None in another one."""
    if fitting.folds == 1:
        return None
    numbers = fitting.fold_numbers.tolist()
    fold_of = {sample.name: fold for sample, fold in zip(fitting.scored.samples, numbers, strict=True)}
    return np.array([fold_of[sample.name] for sample in samples], np.int64)


def better(one: SizeTrial, other: SizeTrial, luck: float = LUCK) -> bool:
    """Return whether `other` answers more pictures correctly than `one`, by more than luck.

    `luck` is the largest probability of as large a gain by luck alone, in a one-sided sign test on the pictures that
    only one size gets right.
    """
    return more_correct(one.correct, other.correct, luck)


def more_correct(one: NDArray[np.bool_], other: NDArray[np.bool_], luck: float = LUCK) -> bool:
    """Return whether the answers `other` (N,) are correct more often than `one` (N,), as `better` tells."""
    gained, lost = (int((a & ~b).sum()) for a, b in ((other, one), (one, other)))
    tosses = gained + lost
    chance = sum(comb(tosses, heads) for heads in range(gained, tosses + 1)) / 2**tosses
    return gained > lost and chance <= luck


def chosen_of(trials: Sequence[SizeTrial], fold: int | None = None) -> SizeTrial:
    """Return the trial of the size that is worth its time: larger sizes follow the usual one in `trials`.

    Args:
        trials: Trials of the same pictures.
        fold: Fold of the score, whose pictures neither count nor teach; None for all pictures.
    """
    counted = outside_of(trials, fold)
    best = 0
    if counted is not None and int((~counted[0]).sum()) >= LEAST_ERRORS:
        for number in range(1, len(trials)):
            best = number if more_correct(counted[best], counted[number]) else best
    return trials[best]


def outside_of(trials: Sequence[SizeTrial | NetworkTrial], fold: int | None) -> list[NDArray[np.bool_]] | None:
    """Return the answers of each trial that choose for a fold, or for all; None where too few pictures are outside."""
    if fold is None:
        return [each.correct for each in trials]
    outside = [each.outside[fold] for each in trials]
    return None if any(each is None for each in outside) else [each for each in outside if each is not None]


def _spread(targets: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Draw pictures for a trial, from the largest classes in turn. (N,) -> (n,), at most `most`."""
    classes, counts = np.unique(targets, return_counts=True)
    large = np.sort(classes[np.argsort(-counts, kind="stable")[:CLASSES]])
    numbers = np.flatnonzero(np.isin(targets, large))
    return numbers[drawn_in_turn(targets[numbers], most, seed=0)]


def median_scale(headers: Iterable[Header | None], size: Size, frame: Frame) -> float:
    """Return the pixels of an input per pixel of the median picture; above 1 it is enlarged. Infinite without any."""
    sides = [header.upright for header in headers if header is not None and header.height and header.width]
    return float(np.median([scale_of(each, sides_of(size), frame) for each in sides])) if sides else inf


def cross_validated(
    values: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.int64], least: int = FOLDS
) -> NDArray[np.bool_] | None:
    """Return (N,): True where a logistic regression on the other folds answers correctly; None for too few pictures.

    Args:
        values: (N, D) features.
        targets: (N,) classes.
        groups: (N,) numbers of the units that stay in a fold.
        least: Fewest units of a class; where it has fewer than FOLDS, there are as many folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    members = [len(np.unique(groups[targets == label])) for label in np.unique(targets)]
    if len(members) < 2 or min(members) < least:
        return None
    folds = StratifiedGroupKFold(min(FOLDS, *members), shuffle=True, random_state=0)
    divided = list(folds.split(values, targets, groups))
    if any(len(np.unique(targets[taught])) < 2 for taught, _ in divided):
        return None
    head = make_pipeline(StandardScaler(), LogisticRegression(C=1 / np.sqrt(values.shape[1]), max_iter=200))
    return np.asarray(cross_val_predict(head, values, targets, cv=divided) == targets, np.bool_)

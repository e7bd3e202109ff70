"""Trials of input sizes: training pictures that are answered in folds, and the test of luck between two sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb, inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.frame import Frame, Size, scale_of, show_size, sides_of
from pennyweight.core.picture_header import Header
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.balance import drawn_in_turn

if TYPE_CHECKING:
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = [
    "FOLDS",
    "LEAST",
    "LEAST_ERRORS",
    "PICTURES",
    "SizeTrial",
    "TrialPictures",
    "better",
    "chosen_of",
    "median_scale",
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


class SizeTrial(NamedTuple):
    """Answers at an input size, and what the size costs."""

    size: Size
    correct: NDArray[np.bool_]
    """(N,): True for a picture that was answered correctly by a head that had not seen it."""
    cost: str = ""
    """Time or work of the size, in words."""

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

    def __init__(self, fitting: PictureFit) -> None:
        train, self.source = fitting.splits.train, fitting.source
        numbers = _spread(np.array([sample.label for sample in train], np.int64))
        self.samples = [train[number] for number in numbers.tolist()]
        self.moments = data.moments_of(self.source, fitting.twins, self.samples) if len(self) >= LEAST else None
        """(N,) numbers of the moments: pictures of one stay in a fold. None where unknown."""

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, preprocess: Preprocess) -> data.Pictures | None:
        """Return the pictures that can be read; None for fewer than LEAST."""
        pictures = data.make_pictures(self.source, self.samples, preprocess)
        pictures.read()
        return pictures if len(pictures) >= LEAST else None

    def answer(self, values: NDArray[np.float32], pictures: data.Pictures) -> NDArray[np.bool_] | None:
        """Return (N,): True where a head that learned from the features of other folds answers correctly.

        Args:
            values: (n, D) features of the pictures that can be read.
            pictures: These pictures.

        Returns:
            The answers, False for a picture that cannot be read; None where a class has too few pictures.
        """
        readable = {sample.name for sample in pictures.samples}
        kept = np.array([sample.name in readable for sample in self.samples])
        groups = np.arange(len(pictures)) if self.moments is None else self.moments[kept]
        correct = _cross_validated(values, pictures.targets, groups)
        if correct is None:
            return None
        whole = np.zeros(len(self), np.bool_)
        whole[kept] = correct
        return whole


def better(one: SizeTrial, other: SizeTrial, luck: float = LUCK) -> bool:
    """Return whether `other` answers more pictures correctly than `one`, by more than luck.

    `luck` is the largest probability of as large a gain by luck alone, in a one-sided sign test on the pictures that
    only one size gets right.
    """
    gained, lost = (int((a & ~b).sum()) for a, b in ((other.correct, one.correct), (one.correct, other.correct)))
    tosses = gained + lost
    chance = sum(comb(tosses, heads) for heads in range(gained, tosses + 1)) / 2**tosses
    return gained > lost and chance <= luck


def chosen_of(trials: Sequence[SizeTrial], by: NDArray[np.bool_] | None = None) -> SizeTrial:
    """Return the trial of the size that is worth its time: larger sizes follow the usual one in `trials`.

    `by` (N,) are the pictures whose answers count; None for all.
    """
    counted = [each if by is None else each._replace(correct=each.correct[by]) for each in trials]
    best = 0
    if counted[0].errors >= LEAST_ERRORS:
        for number in range(1, len(trials)):
            best = number if better(counted[best], counted[number]) else best
    return trials[best]


def _spread(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw pictures for a trial, from the largest classes in turn. (N,) -> (n,), at most PICTURES."""
    classes, counts = np.unique(targets, return_counts=True)
    large = np.sort(classes[np.argsort(-counts, kind="stable")[:CLASSES]])
    numbers = np.flatnonzero(np.isin(targets, large))
    return numbers[drawn_in_turn(targets[numbers], PICTURES, seed=0)]


def median_scale(headers: Iterable[Header | None], size: Size, frame: Frame) -> float:
    """Return the pixels of an input per pixel of the median picture; above 1 it is enlarged. Infinite without any."""
    sides = [header.upright for header in headers if header is not None and header.height and header.width]
    return float(np.median([scale_of(each, sides_of(size), frame) for each in sides])) if sides else inf


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

"""Shortcuts: trivial classifiers on the same split as the network, which see no object at all.

A network that learns from how files were saved, or from a border, has a high score and is of no use (Geirhos et al.
2020, "Shortcut Learning in Deep Neural Networks", arXiv:2004.07780). So small classifiers learn from `VIEWS` of each
picture. Contents that compress well or fill the picture tell classes apart honestly; two of the views have a control,
which shows how much of the accuracy is content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pennyweight.core.figures import number, share
from pennyweight.data.checks.glance import Glances
from pennyweight.data.checks.views import VIEWS, Classifier, Table, View
from pennyweight.data.intervals import effective_count, interval

__all__ = ["Shortcut", "held_out", "lines_beside", "shortcuts", "shortcuts_in_folds", "telling"]

MOST = 10_000
"""Most training pictures, and most scored pictures; of more, as many are drawn."""
MOST_CLASSES = 50
"""Largest number of classes for the trivial classifiers; with more classes, the largest ones in training."""
LEAST_SCORED = 100
"""Fewest test pictures that are scored alone."""
LEAST_CUT = 0.005
"""Share of the pictures below which what a crop cuts away would be 0%."""
CERTAIN = 0.999
"""Confidence with which the accuracy of a view near the network exceeds chance."""
FAR = 0.5
"""Share of the way from chance, or from the control, to 100% beyond which the whole interval of a view is far above."""
PLURAL = ("the bytes of a pixel in the files", "the outermost pixels", "sharpness and noise", "marks in fixed places")


@dataclass(frozen=True)
class Shortcut:
    """Score of a trivial classifier on held-out pictures."""

    name: str
    """The view from which it tells the classes, such as "how the files were saved"."""
    accuracy: float
    interval: tuple[float, float]
    """95% confidence interval of the accuracy, in which twins count as one picture."""
    correct: int
    count: int
    chance: float
    """Accuracy of the best single answer: the share of the largest class among the scored pictures."""
    control: float | None = None
    """Accuracy of the same classifier from the content alone; None where it was not needed."""
    alone: bool = False
    """True if the view shows no content: an accuracy far above chance is a shortcut, whatever the network does."""
    whole: bool = False
    """True if the pictures are so small that the view shows most of them."""
    near: float = 0.85
    """Share of the network's gain over chance at which the view comes near the network."""
    effective_images: float | None = None
    """Effective number of independent pictures among the scored ones; None where twins were not looked for."""

    @property
    def fact(self) -> str:
        """Return the score as a sentence."""
        verb = "tell" if self.name in PLURAL else "tells"
        alike = self.effective_images or self.count
        twins = f"; about {number(round(alike))} independent" if alike < self.count else ""
        pictures = f"{self.count:,} pictures (chance {share(self.chance)}{twins})"
        return f"{self.name} {verb} the classes apart at {share(self.accuracy)} of {pictures}"

    @property
    def line(self) -> str:
        """Return the line for the user that follows a network's score."""
        return f"{self.fact}: the network may have learned that"

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        return {**asdict(self), "interval": list(self.interval)}


def shortcuts(
    glances: Glances,
    labels: ArrayLike,
    train: Sequence[int] | NDArray[Any],
    test: Sequence[int] | NDArray[Any],
    moments: NDArray[np.int64] | None = None,
    *,
    control: bool = False,
) -> tuple[Shortcut, ...]:
    """Train each trivial classifier and score it on held-out pictures.

    Args:
        glances: Facts of N pictures.
        labels: Classes of the N pictures, as numbers.
        train: Numbers of the training pictures.
        test: Numbers of the scored pictures.
        moments: Moments of the N pictures, (N,), equal for twins; None where twins were not looked for.
        control: True scores every control, not only of a view far above chance.

    Returns:
        A score for each view in which pictures differ; empty if training has one class, or one picture of each.
    """
    classes = np.asarray(labels)
    usable = glances.readable & np.isin(classes, _largest(classes[np.asarray(train, np.int64)]))
    fitted, scored = (_subset(np.asarray(part, np.int64), usable) for part in (train, test))
    count = len(scored)
    if not count or not 2 <= len(np.unique(classes[fitted])) < len(fitted):
        return ()
    chance = float(np.unique(classes[scored], return_counts=True)[1].max() / count)
    effective = None if moments is None else effective_count(moments[scored])
    rows = glances.take(np.concatenate([fitted, scored]))
    side = np.median([min(saved.header.height, saved.header.width) for saved in rows.saved if saved is not None])

    @cache
    def right(facts: Callable[[Glances], Table], classifier: Classifier) -> int | None:
        table = facts(rows)
        table = table[:, np.ptp(table[: len(fitted)], axis=0) > 0]
        parts = table[: len(fitted)], classes[fitted], table[len(fitted) :]
        return int((classifier(*parts) == classes[scored]).sum()) if table.shape[1] else None

    def score(view: View) -> Shortcut | None:
        if (correct := right(view.facts, view.classifier)) is None:
            return None
        one = Shortcut(
            name=view.name,
            accuracy=correct / count,
            interval=interval(correct, count, effective),
            correct=correct,
            count=count,
            chance=chance,
            alone=view.alone,
            whole=bool(side < view.least_side),
            near=view.near,
            effective_images=effective,
        )
        if view.control is None or not (control or _is_far(one)):
            return one
        return replace(one, control=(right(view.control, view.classifier) or 0) / count)

    return tuple(one for view in VIEWS if (one := score(view)) is not None)


def shortcuts_in_folds(
    glances: Glances,
    labels: ArrayLike,
    numbers: NDArray[np.int64],
    folds: NDArray[np.int64],
    moments: NDArray[np.int64] | None = None,
) -> tuple[Shortcut, ...]:
    """Score each trivial classifier in folds: every picture once, by one that learned from the other folds.

    Args:
        glances: Facts of all pictures.
        labels: Classes of all pictures, as numbers.
        numbers: Numbers of the N pictures.
        folds: Fold of each of these, (N,).
        moments: Moments of all pictures, equal for twins; None where twins were not looked for.

    Returns:
        A score for each view that every fold could score.
    """
    parts = [
        shortcuts(glances, labels, numbers[folds != one], numbers[folds == one], control=True)
        for one in np.unique(folds)
    ]
    chance = float(np.unique(np.asarray(labels)[numbers], return_counts=True)[1].max() / len(numbers))
    effective = None if moments is None else effective_count(moments[numbers])
    found = []
    for view in VIEWS:
        each = [one for part in parts for one in part if one.name == view.name]
        if len(each) < len(parts):
            continue
        correct, count = sum(one.correct for one in each), sum(one.count for one in each)
        controls = [one.control * one.count for one in each if one.control is not None]
        joined = replace(
            each[0], accuracy=correct / count, interval=interval(correct, count, effective, folded=True),
            correct=correct, count=count, chance=chance, control=sum(controls) / count if controls else None,
            effective_images=effective,
        )  # fmt: skip
        found.append(joined)
    return tuple(found)


def telling(found: Sequence[Shortcut], network_accuracy: float | None = None) -> tuple[Shortcut, ...]:
    """Return the shortcuts to warn about.

    A view that shows no content is one if its accuracy is far above chance and above its control. Any view is one if
    its accuracy is near the network's. Both must be more than luck. Small pictures are excepted: a view shows most of
    them.

    Args:
        found: Scores of `shortcuts`.
        network_accuracy: Accuracy of the network on the same pictures; None if there is no network yet.
    """
    return tuple(one for one in found if not one.whole and (_is_far(one) or _is_near(one, network_accuracy)))


def lines_beside(
    found: Sequence[Shortcut], accuracy: float, interval: tuple[float, float], cut_away: float
) -> tuple[str, ...]:
    """Return lines for the user that follow a network's score: shortcuts that it may have learned or cannot see.

    Args:
        found: Scores of `shortcuts`.
        accuracy: Accuracy of the network on the same pictures.
        interval: Confidence interval of the accuracy. The network did not learn a view whose interval lies above.
        cut_away: Share of the middle picture that the input of the network cuts away.
    """
    above = [one for one in found if one.interval[0] > interval[1]]
    told = telling(found, accuracy)
    lines = [one.line for one in told if one not in above]
    content = [one for one in above if not one.alone]
    if content and cut_away >= LEAST_CUT:
        best = max(content, key=lambda one: one.accuracy)
        lines.append(
            f"{best.fact}, and the network at {share(accuracy)}. The network sees less than this classifier: the crop "
            f"cuts away {cut_away:.0%} of the middle picture; --frame pad shows whole pictures"
        )
        above = [one for one in above if one.alone]
    lines += [
        f"{one.fact}, and the network at {share(accuracy)}: it has not learned that" for one in above if one in told
    ]
    return tuple(lines)


def held_out(test: Sequence[int], val: Sequence[int]) -> Sequence[int]:
    """Return the pictures to score: the test split, and validation too where the test split is small."""
    return test if len(test) >= LEAST_SCORED else [*test, *val]


def _base(one: Shortcut) -> float:
    """Return the accuracy that takes no shortcut."""
    return max(one.chance, one.control or 0)


def _is_far(one: Shortcut) -> bool:
    base = _base(one)
    return one.alone and one.interval[0] > base + FAR * (1 - base)


def _is_near(one: Shortcut, network: float | None) -> bool:
    if network is None or interval(one.correct, one.count, one.effective_images, CERTAIN)[0] <= _base(one):
        return False
    return one.accuracy - one.chance >= one.near * (network - one.chance)


def _largest(classes: NDArray[Any]) -> NDArray[Any]:
    """Return the largest classes, at most MOST_CLASSES, because the time of trees grows with their number."""
    values, counts = np.unique(classes, return_counts=True)
    return values[np.argsort(-counts, kind="stable")[:MOST_CLASSES]]


def _subset(numbers: NDArray[np.int64], usable: NDArray[np.bool_]) -> NDArray[np.int64]:
    numbers = numbers[usable[numbers]]
    return numbers if len(numbers) <= MOST else np.sort(np.random.default_rng(0).permutation(numbers)[:MOST])

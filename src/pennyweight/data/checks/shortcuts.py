"""Shortcuts: trivial classifiers on the same split as the network, which see no object at all.

A network that learns from how files were saved, or from a border, has a high score and is of no use (Geirhos et al.
2020, "Shortcut Learning in Deep Neural Networks", arXiv:2004.07780). So trees learn from four views of each picture.
Contents that compress well or fill the picture tell classes apart honestly; for two of the views a control, which knows
the content alone, shows how much of the accuracy is content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pennyweight.core.figures import share
from pennyweight.core.intervals import wilson
from pennyweight.data.checks.glance import Glances

__all__ = ["Shortcut", "held_out", "shortcuts", "telling"]

Table = NDArray[np.float32]
"""(N, columns)."""

MOST = 10_000
"""Most training pictures, and most scored pictures; of more, every n-th one counts."""
LEAST_SCORED = 100
"""Fewest test pictures that are scored alone."""
TREES = 20
LEAF = 0.0005
"""Fewest training pictures in a leaf, as a share of all."""
COLUMNS = 14
"""Columns that are tried at each node, so that a single decisive one is found."""
LEAF_VALUES = 400_000
"""Most leaves times classes in a tree, which bounds the memory to 200 MB."""
CERTAIN = 0.999
"""Confidence with which the accuracy of a view near the network exceeds chance."""
FAR = 0.5
"""Share of the way from chance, or from the control, to 100% beyond which the whole interval of a view is far above."""
NEAR = 0.95
"""Share of the network's gain over chance at which a view comes near the network."""
COLORLESS = 1.5
"""Mean difference of the colors of a thumbnail, of 255, below which a picture is gray."""


@dataclass(frozen=True)
class Shortcut:
    """Score of a trivial classifier on held-out pictures."""

    name: str
    """The view from which it tells the classes, such as "how the files were saved"."""
    accuracy: float
    interval: tuple[float, float]
    """95% confidence interval of the accuracy."""
    correct: int
    count: int
    chance: float
    """Accuracy of the best single answer: the share of the largest class among the scored pictures."""
    control: float | None = None
    """Accuracy of the same trees from the content alone; None for a view without a control."""
    alone: bool = False
    """True if the view shows no content: an accuracy far above chance is a shortcut, whatever the network does."""
    whole: bool = False
    """True if the pictures are so small that the view shows most of them."""

    @property
    def fact(self) -> str:
        """Return the score as a sentence."""
        verb = "tell" if self.name.endswith("pixels") else "tells"
        pictures = f"{self.count:,} pictures (chance {share(self.chance)})"
        return f"{self.name} {verb} the classes apart at {share(self.accuracy)} of {pictures}"

    @property
    def line(self) -> str:
        """Return the line for the user beside a network's score."""
        return f"{self.fact}: the network may have learned that"

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        return {**asdict(self), "interval": list(self.interval)}


def shortcuts(
    glances: Glances, labels: ArrayLike, train: Sequence[int] | NDArray[Any], test: Sequence[int] | NDArray[Any]
) -> tuple[Shortcut, ...]:
    """Train each trivial classifier and score it on held-out pictures.

    Args:
        glances: Facts of N pictures.
        labels: Classes of the N pictures, as numbers.
        train: Numbers of the training pictures.
        test: Numbers of the scored pictures.

    Returns:
        A score for each view in which the pictures differ; empty if training has one class, or no picture is scored.
    """
    classes = np.asarray(labels)
    fitted, scored = (_subset(np.asarray(part, np.int64), glances.readable) for part in (train, test))
    if not len(scored) or len(np.unique(classes[fitted])) < 2:
        return ()
    chance = float(np.unique(classes[scored], return_counts=True)[1].max() / len(scored))
    rows = glances.take(np.concatenate([fitted, scored]))

    def right(view: Callable[[Glances], Table]) -> int | None:
        table = view(rows)
        return _right(table[: len(fitted)], classes[fitted], table[len(fitted) :], classes[scored])

    sides = [min(saved.header.height, saved.header.width) for saved in rows.saved if saved is not None]
    return tuple(
        Shortcut(
            view.name,
            correct / len(scored),
            wilson(correct, len(scored)),
            correct,
            len(scored),
            chance,
            None if view.control is None else (right(view.control) or 0) / len(scored),
            view.alone,
            float(np.median(sides)) < view.least_side,
        )
        for view in VIEWS
        if (correct := right(view.facts)) is not None
    )


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


def held_out(test: Sequence[int], val: Sequence[int]) -> Sequence[int]:
    """Return the pictures to score: the test split, and validation too where the test split is small."""
    return test if len(test) >= LEAST_SCORED else [*test, *val]


def _is_far(one: Shortcut) -> bool:
    base = max(one.chance, one.control or 0)
    return one.alone and one.interval[0] > base + FAR * (1 - base)


def _is_near(one: Shortcut, network: float | None) -> bool:
    if network is None or wilson(one.correct, one.count, CERTAIN)[0] <= one.chance:
        return False
    return one.accuracy - one.chance >= NEAR * (network - one.chance)


def _subset(numbers: NDArray[np.int64], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
    numbers = numbers[readable[numbers]]
    return numbers[:: -(-len(numbers) // MOST)] if len(numbers) else numbers


def _right(table: Table, classes: NDArray[Any], scored: Table, truth: NDArray[Any]) -> int | None:
    """Return the number of right answers of trees; None if no column varies in training."""
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    varying = np.flatnonzero(np.ptp(table, axis=0))
    if not len(varying):
        return None
    most = LEAF_VALUES // len(np.unique(classes))
    leaves = most if most * LEAF < 1 else None
    trees = ExtraTreesClassifier(
        TREES,
        min_samples_leaf=LEAF,
        max_features=min(COLUMNS, len(varying)),
        max_leaf_nodes=leaves,
        random_state=0,
    )
    answers = trees.fit(table[:, varying], classes).predict(scored[:, varying])
    return int((answers == truth).sum())


def _saved(glances: Glances) -> Table:
    """Return the facts of the files, numbers first, texts as their ranks by frequency."""
    rows, texts = np.zeros((len(glances), 9), np.float32), []
    chroma = np.ptp(glances.colors.astype(np.float32), axis=3).mean((1, 2))
    for number, saved in enumerate(glances.saved):
        if saved is None:
            texts.append(("",) * 5)
            continue
        header = saved.header
        pixels = header.height * header.width
        rows[number] = (
            header.height,
            header.width,
            header.width / header.height,
            pixels,
            header.orientation,
            saved.file_bytes / pixels,
            saved.quality,
            bool(saved.taken),
            chroma[number] < COLORLESS,
        )
        texts.append((header.format, header.mode, saved.layout, saved.camera, saved.software))
    return np.column_stack([rows, *(_ranks(column) for column in zip(*texts, strict=True))])


def _ranks(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return each text's rank by frequency, 0 for the most frequent."""
    values, inverse, counts = np.unique(np.array(texts, object).astype(str), return_inverse=True, return_counts=True)
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(len(values))
    return ranks[inverse]


def _mean_color(glances: Glances) -> Table:
    red, green, blue = glances.colors.mean((1, 2), dtype=np.float32).T
    return np.column_stack([red, green, blue, red - green, green - blue])


def _field(name: str) -> Callable[[Glances], Table]:
    return lambda glances: glances.looks[name].reshape(len(glances), -1).astype(np.float32)


class View(NamedTuple):
    """Facts from which a trivial classifier tells the classes."""

    name: str
    facts: Callable[[Glances], Table]
    control: Callable[[Glances], Table] | None = None
    """Facts of the content alone."""
    alone: bool = False
    """True if the facts show no content."""
    least_side: int = 0
    """Median short side in pixels below which the view shows most of a picture."""


VIEWS = (
    View("how the files were saved", _saved, _field("detail"), alone=True),
    View("the mean color", _mean_color),
    View("the outermost pixels", _field("ring"), _field("inner_ring"), alone=True, least_side=16),
    View("an 8×8 thumbnail", _field("thumbnail"), least_side=64),
)

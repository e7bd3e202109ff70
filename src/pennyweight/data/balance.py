"""Class imbalance: class weights in the loss, or balanced sampling, chosen by the imbalance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.data.augment.draws import draws, shuffled

__all__ = ["Balance", "Balancing", "balanced_count", "balanced_order", "drawn_in_turn"]

Balancing = Literal["auto", "none", "weights", "sampling"]
WEIGH_FROM = 3.0
SAMPLE_FROM = 20.0
"""Ratios of the largest class to the smallest at which `auto` weighs the loss, and at which it samples."""
MOST_REPEATS = 20
"""Largest number of times that a balanced epoch shows one picture; more repeats only overfit."""


@dataclass(frozen=True)
class Balance:
    """Treatment of unequal classes."""

    how: Literal["none", "weights", "sampling"]
    ratio: float
    """Size of the largest class divided by that of the smallest."""
    weights: NDArray[np.float32] | None = None
    """(classes,) weights for the loss; None unless `how` is "weights"."""

    @classmethod
    def of(
        cls, targets: NDArray[np.int64], classes: int, how: Balancing = "auto", *, streamed: bool = False
    ) -> Balance:
        """Choose a treatment by the imbalance of `targets`: none below 3, weights below 20, sampling from 20 on.

        Args:
            targets: (N,) classes of the training pictures.
            classes: Number of classes.
            how: The treatment; "auto" chooses.
            streamed: Whether the pictures are streamed, which rules out sampling.

        Raises:
            InputError: Sampling of a stream, which cannot repeat pictures within an epoch.
        """
        counts = np.bincount(targets, minlength=classes)
        there = counts[counts > 0]
        ratio = float(there.max() / there.min())
        if how == "auto":
            how = "none" if ratio < WEIGH_FROM else "weights" if streamed or ratio < SAMPLE_FROM else "sampling"
        elif how == "sampling" and streamed:
            raise InputError("balance=sampling repeats rare pictures, which a stream cannot; --set balance=weights")
        if how != "weights":
            return cls(how, ratio)
        # Their mean over the pictures is 1, so that the learning rate keeps its effect.
        weights = np.where(counts > 0, len(targets) / (len(there) * np.maximum(counts, 1)), 0).astype(np.float32)
        return cls(how, ratio, weights)

    @property
    def note(self) -> str | None:
        """Return a line on the imbalance and its treatment; None if it is not treated."""
        done = {
            "none": None,
            "weights": "rare classes weigh more in the loss",
            "sampling": f"each class is shown equally often, a picture at most {MOST_REPEATS} times per epoch",
        }[self.how]
        found = f"the largest class has {self.ratio:.1f} times the pictures of the smallest"
        return f"{found}: {done} (--set balance=none switches this off)" if done else None


def balanced_count(targets: NDArray[np.int64]) -> int:
    """Return the number of pictures in a balanced epoch: about N, fewer if MOST_REPEATS limits a class."""
    _, counts = np.unique(targets, return_counts=True)
    return sum(_wanted(len(targets), len(counts), int(count)) for count in counts)


def _wanted(pictures: int, classes: int, count: int) -> int:
    """Return how often a balanced epoch shows a class of `count` pictures."""
    return min(-(-pictures // classes), count * MOST_REPEATS)


def balanced_order(targets: NDArray[np.int64], *, seed: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a balanced epoch: every class equally often, shuffled.

    Small classes are repeated; of large classes each epoch shows a part.

    Args:
        targets: (N,) classes.
        seed: Seed of the run.
        epoch: Number of the epoch.

    Returns:
        (numbers of the pictures, how many times each has been shown before in this epoch), (balanced_count,) each.
    """
    classes, counts = np.unique(targets, return_counts=True)
    numbers: list[NDArray[np.int64]] = []
    times: list[NDArray[np.int64]] = []
    for label, count in zip(classes, counts, strict=True):
        own = np.flatnonzero(targets == label)
        wanted = _wanted(len(targets), len(classes), int(count))
        for repeat in range(-(-wanted // int(count))):
            order = shuffled(seed, epoch, own + repeat * len(targets))
            part = own[order][: wanted - repeat * int(count)]
            numbers.append(part)
            times.append(np.full(len(part), repeat))
    shown, repeats = np.concatenate(numbers), np.concatenate(times)
    mixed = shuffled(seed, epoch, shown + (repeats + MOST_REPEATS) * len(targets))
    return shown[mixed], repeats[mixed]


def drawn_in_turn(targets: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """Draw up to `count` pictures, one of every class in turn. (N,) classes -> (n,) numbers of pictures, ascending."""
    drawn = draws(seed, 0, np.arange(len(targets)), 1)[:, 0]
    order = np.lexsort((drawn, targets))
    turn = np.arange(len(order)) - np.searchsorted(targets[order], targets[order])  # place within the class
    return np.sort(order[np.argsort(turn, kind="stable")][:count])

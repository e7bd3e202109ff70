"""Classes of unequal size: weights in the loss, or balanced sampling, by how unequal they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.data.augment.draws import draws

__all__ = ["Balance", "Balancing", "balanced_count", "balanced_order"]

Balancing = Literal["auto", "none", "weights", "sampling"]
WEIGH_FROM = 3.0
SAMPLE_FROM = 20.0
"""Ratios of the largest class to the smallest from which `auto` weighs, and from which it samples."""
MOST_REPEATS = 20
"""How often one picture is shown in a balanced epoch; more only learns it by heart."""


@dataclass(frozen=True)
class Balance:
    """What is done about unequal classes. `weights` are per class, for the loss; None where it does not weigh."""

    how: Literal["none", "weights", "sampling"]
    ratio: float
    """Pictures of the largest class for each of the smallest."""
    weights: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, targets: NDArray[np.int64], classes: int, how: Balancing = "auto", *, streamed: bool = False
    ) -> Balance:
        """Chosen by the imbalance of `targets` (N,): nothing below 3, weights below 20, sampling from there.

        Of what is `streamed` no picture is shown again in an epoch, so there are weights only; InputError when asked.
        """
        counts = np.bincount(targets, minlength=classes)
        there = counts[counts > 0]
        ratio = float(there.max() / there.min())
        if how == "auto":
            how = "none" if ratio < WEIGH_FROM else "weights" if streamed or ratio < SAMPLE_FROM else "sampling"
        elif how == "sampling" and streamed:
            raise InputError("balance=sampling shows rare pictures again, which a stream cannot; --set balance=weights")
        if how != "weights":
            return cls(how, ratio)
        # Their mean over the pictures is 1, so that the rate of learning stays.
        weights = np.where(counts > 0, len(targets) / (len(there) * np.maximum(counts, 1)), 0).astype(np.float32)
        return cls(how, ratio, weights)

    @property
    def note(self) -> str | None:
        """In a line, what was found and what is done; None where nothing is."""
        done = {
            "none": None,
            "weights": "rare classes weigh more in the loss",
            "sampling": f"each class is shown equally often, a picture at most {MOST_REPEATS} times an epoch",
        }[self.how]
        found = f"the largest class has {self.ratio:.1f} times the pictures of the smallest"
        return f"{found}: {done} (--set balance=none for neither)" if done else None


def balanced_count(targets: NDArray[np.int64]) -> int:
    """How many pictures a balanced epoch shows: about as many as there are, fewer where repeats are at their most."""
    _, counts = np.unique(targets, return_counts=True)
    return sum(_wanted(len(targets), len(counts), int(count)) for count in counts)


def _wanted(pictures: int, classes: int, count: int) -> int:
    """How many of a class with `count` pictures."""
    return min(-(-pictures // classes), count * MOST_REPEATS)


def balanced_order(targets: NDArray[np.int64], *, seed: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the numbers of an epoch's pictures, which time in the epoch each is shown), shuffled; classes equally often.

    `balanced_count` in all. Small classes are shown again and again, large ones a part in each epoch.
    """
    classes, counts = np.unique(targets, return_counts=True)
    numbers: list[NDArray[np.int64]] = []
    times: list[NDArray[np.int64]] = []
    for label, count in zip(classes, counts, strict=True):
        own = np.flatnonzero(targets == label)
        wanted = _wanted(len(targets), len(classes), int(count))
        for repeat in range(-(-wanted // int(count))):
            order = np.argsort(draws(seed, epoch, own + repeat * len(targets), 1)[:, 0], kind="stable")
            part = own[order][: wanted - repeat * int(count)]
            numbers.append(part)
            times.append(np.full(len(part), repeat))
    shown, repeats = np.concatenate(numbers), np.concatenate(times)
    mixed = np.argsort(draws(seed, epoch, shown + (repeats + MOST_REPEATS) * len(targets), 1)[:, 0], kind="stable")
    return shown[mixed], repeats[mixed]

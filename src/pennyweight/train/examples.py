"""Pictures and their classes, to learn from or to score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.data.augment.draws import shuffled
from pennyweight.train.quick_network import BATCH

__all__ = ["Examples", "hold_out"]

ENOUGH_SCORED = 10
"""Scored pictures of a class from which on no training picture of it is held out."""
MOST_HELD_OUT = 1 / 3
"""Largest share of the training pictures of a class that is held out."""


class Examples(NamedTuple):
    """Pictures, (N, H, W, C) uint8, and their classes, (N,)."""

    pixels: Pixels
    targets: NDArray[np.int64]

    def batches(self, seed: int) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Yield batches of random pictures without end."""
        epoch = 0
        while True:
            epoch += 1
            order = shuffled(seed, epoch, np.arange(len(self.targets)))
            for rows in np.array_split(order, max(1, len(order) // BATCH)):
                yield self.pixels[rows], self.targets[rows]


def hold_out(training: Examples, scored: Examples, seed: int) -> tuple[Examples, Examples]:
    """Move training pictures to the scored ones where a class has fewer than `ENOUGH_SCORED`. Return both."""
    missing = ENOUGH_SCORED - np.bincount(scored.targets, minlength=int(training.targets.max(initial=0)) + 1)
    random, held = np.random.default_rng(seed), np.zeros(len(training.targets), bool)
    for each in np.flatnonzero(missing > 0).tolist():
        own = np.flatnonzero(training.targets == each)
        held[random.permutation(own)[: min(missing[each], int(MOST_HELD_OUT * len(own)))]] = True
    if not held.any():
        return training, scored
    pixels = np.concatenate([scored.pixels, training.pixels[held]])
    targets = np.concatenate([scored.targets, training.targets[held]])
    order = random.permutation(len(targets))  # of these, a slow machine scores the first
    return Examples(training.pixels[~held], training.targets[~held]), Examples(pixels[order], targets[order])

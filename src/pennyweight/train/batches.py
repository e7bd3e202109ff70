"""Interfaces between the training loop and its data: the batches of an epoch, and a teacher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from pennyweight.core.errors import InputError
from pennyweight.data import Augment, Batch
from pennyweight.train.recipe import Recipe

__all__ = ["Batches", "KnownScores", "Teacher", "require_parts", "time_waits"]

T = TypeVar("T")

Teacher = Callable[[Tensor], Tensor]
"""Function from the network's input (B, C, H, W) to logits (B, classes)."""

KnownScores = tuple[tuple[float, float], ...]
"""(Loss, accuracy) of every epoch, in place of a validation set: those of trainings in folds."""


class Batches(Protocol):
    """Training or validation set: `data.Pictures`, or the features of a linear probe."""

    def __len__(self) -> int: ...
    def steps(self, batch: int) -> int: ...
    def epoch(
        self,
        epoch: int,
        *,
        batch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        start: int = 0,
    ) -> Iterator[Batch]: ...
    def in_order(self, batch: int) -> Iterator[Batch]: ...


def require_parts(pictures: int, steps: int, recipe: Recipe, ranks: int) -> None:
    """Raise InputError if `pictures` in `steps` batches leave fewer than two pictures for a part of a batch."""
    if pictures // steps < 2 * ranks * recipe.accumulate and ranks * recipe.accumulate > 1:
        raise InputError(
            f"{pictures} pictures in batches of {recipe.batch} leave fewer than two for each of "
            f"{ranks} ranks × {recipe.accumulate} parts; batch norm needs two: take a larger --batch"
        )


def time_waits(items: Iterator[T]) -> Iterator[tuple[T, float]]:
    """Yield each item with the seconds spent waiting for it."""
    started = time.perf_counter()
    for item in items:
        yield item, time.perf_counter() - started
        started = time.perf_counter()

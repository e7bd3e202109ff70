"""Time budget: measure the parts of a training on this machine, for a schedule that fits the time."""

from __future__ import annotations

import copy
import math
import statistics
import time
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import nn

from pennyweight.core.frame import Size, sides_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.train.autotune import WARM_UP
from pennyweight.train.batches import Batches, Teacher
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.distributed import Ranks
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.precision import set_train_mode
from pennyweight.train.recipe import Recipe
from pennyweight.train.trainer import Trainer

__all__ = ["Pace", "measure_pace"]

STEPS = 12
VALIDATION_BATCHES = 3
COUNTED = 1_000
"""Epochs whose pictures' sides are counted one by one; longer trainings are sampled."""
MOST_EPOCHS = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of the parts of a training."""

    steps: int
    """Steps of an epoch."""
    first_step_s: float
    """Seconds of a step on pictures of the first epoch's side."""
    step_s: float
    """Seconds of a step on pictures of the full side."""
    validation_s: float

    def seconds(self, recipe: Recipe, size: Size) -> float:
        """Return the seconds of a whole training."""
        counted = replace(recipe, epochs=min(recipe.epochs, COUNTED))
        return recipe.epochs * self._mean(counted, size, range(1, counted.epochs + 1))

    def seconds_of(self, epochs: range, recipe: Recipe, size: Size, plan: EpochPlan | None = None) -> float:
        """Return the seconds of some epochs, which count from 1, of `plan` where it is no longer the recipe's."""
        return len(epochs) * self._mean(recipe, size, epochs[:: 1 + len(epochs) // COUNTED], plan)

    def _mean(self, recipe: Recipe, size: Size, epochs: range, plan: EpochPlan | None = None) -> float:
        """Return the mean seconds of these epochs. A step's time grows linearly with the pixels of its pictures."""
        whole, first = math.prod(sides_of(size)), math.prod(recipe.sides(size, 1))
        by_pixel = (self.step_s - self.first_step_s) / (whole - first) if first < whole else 0.0
        plan = plan or recipe.epoch_plan
        unlike = epochs[:1] if recipe.first_size == 1 else epochs  # without progressive resizing, all are alike
        pixels = [math.prod(recipe.sides(size, epoch, plan)) for epoch in unlike]
        step_s = statistics.fmean(self.step_s - by_pixel * (whole - each) for each in pixels)
        return self.steps * step_s + self.validation_s

    def epochs_within(self, left_s: float, recipe: Recipe, size: Size) -> int:
        """Return the epochs that fit `left_s` seconds; at least one."""
        fitting = bisect_right(
            range(1, MOST_EPOCHS), left_s, key=lambda epochs: self.seconds(replace(recipe, epochs=epochs), size)
        )
        return max(1, fitting)


def measure_pace(
    model: nn.Module,
    training: Batches,
    validation: Batches,
    recipe: Recipe,
    *,
    preprocess: Preprocess | None,
    ranks: Ranks,
    seed: int,
    teacher: Teacher | None,
    within_s: float = math.inf,
    steps: int = WARM_UP + STEPS,
    batches: int = VALIDATION_BATCHES,
) -> Pace:
    """Time `steps` steps of each kind on copies of `model`, and `batches` batches of validation.

    Fewer steps, but one after WARM_UP, where they take `within_s`. What warms up is left out if there are others.
    """

    def trial(tried: Recipe) -> tuple[Trainer, float]:
        made = Trainer(
            copy.deepcopy(model), training=training, recipe=tried, seed=seed, callback=NullCallback(),
            preprocess=preprocess, checkpointer=Checkpointer(), teacher=teacher, ranks=ranks,
        )  # fmt: skip
        set_train_mode(made.network, tried)
        spent: list[float] = []
        started = time.perf_counter()
        for batch in islice(training.epoch(1, batch=tried.batch, seed=seed, augment=tried.augment), steps):
            made.step(batch)
            spent.append(time.perf_counter() - started)
            if ranks.gather(len(spent) > WARM_UP and sum(spent) > within_s)[0]:
                break
            started = time.perf_counter()
        return made, statistics.median(spent[WARM_UP:] or spent)

    whole, step_s = trial(replace(recipe, first_size=1.0))
    first_step_s = trial(recipe)[1] if recipe.first_size < 1 else step_s
    whole.network.eval()
    started, images = time.perf_counter(), 0
    with torch.inference_mode():
        for batch in islice(validation.in_order(recipe.part), batches):
            whole.answer(batch)
            images += len(batch.targets)
    image_s = (time.perf_counter() - started) / images
    return Pace(
        steps=whole.steps,
        first_step_s=first_step_s,
        step_s=step_s,
        validation_s=len(validation) / ranks.count * image_s,
    )

"""How long an epoch takes here, for a schedule that fits the time."""

from __future__ import annotations

import copy
import statistics
import time
from collections import Counter
from dataclasses import replace
from itertools import islice

import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.train.batches import Batches, Teacher
from pennyweight.train.growth import side_in
from pennyweight.train.keeper import Keeper
from pennyweight.train.loop import Training
from pennyweight.train.ranks import Ranks
from pennyweight.train.recipe import Recipe
from pennyweight.train.speed import WARM_UP, Nobody

__all__ = ["epoch_seconds"]

STEPS = 12
VALIDATION_BATCHES = 3
EPOCHS = 20
"""Of a training whose pictures grow, by which its epochs are weighed; how many there are hardly matters."""


def epoch_seconds(
    model: nn.Module,
    training: Batches,
    validation: Batches,
    recipe: Recipe,
    *,
    preprocess: Preprocess,
    ranks: Ranks,
    seed: int,
    teacher: Teacher | None,
) -> float:
    """Seconds of an epoch with its validation, from a few steps of each on a copy of `model`.

    Where pictures grow, of an epoch in the mean.
    """
    usual = replace(recipe, epochs=EPOCHS)
    sides = Counter(side_in(epoch + 1, preprocess.size, usual) for epoch in range(EPOCHS))
    step_s = 0.0
    for side, epochs in sides.items():
        trial = Training(
            copy.deepcopy(model),
            training=training,
            recipe=replace(recipe, first_side=side / preprocess.size),
            seed=seed,
            watcher=Nobody(),
            preprocess=preprocess,
            keeper=Keeper(),
            teacher=teacher,
            ranks=ranks,
        )
        step_s += _step_s(trial) * epochs / EPOCHS
    trial.network.eval()
    started, images = time.perf_counter(), 0
    with torch.inference_mode():
        for batch in islice(validation.in_order(recipe.batch), VALIDATION_BATCHES):
            trial.network(trial.inputs(batch)[0])
            images += len(batch.targets)
    image_s = (time.perf_counter() - started) / images
    return float(trial.steps * step_s + len(validation) / ranks.count * image_s)


def _step_s(trial: Training) -> float:
    """The median of a few steps in a first epoch, batches included."""
    recipe = trial.recipe
    trial.network.train()
    spent = []
    started = time.perf_counter()
    batches = trial.training.epoch(1, batch=recipe.batch, seed=trial.seed, augment=recipe.augment)
    for batch in islice(batches, WARM_UP + STEPS):
        trial.step(batch)
        spent.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.median(spent[WARM_UP:] or spent)

"""How long an epoch takes here, for a schedule that fits the time."""

from __future__ import annotations

import copy
import statistics
import time
from itertools import islice

import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.train.batches import Batches, Teacher
from pennyweight.train.keeper import Keeper
from pennyweight.train.loop import Training
from pennyweight.train.ranks import Ranks
from pennyweight.train.recipe import Recipe
from pennyweight.train.speed import WARM_UP, Nobody

__all__ = ["epoch_seconds"]

STEPS = 12
VALIDATION_BATCHES = 3


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
    """Seconds of an epoch with its validation, from a few steps of each on a copy of `model`."""
    trial = Training(
        copy.deepcopy(model),
        training=training,
        recipe=recipe,
        seed=seed,
        watcher=Nobody(),
        preprocess=preprocess,
        keeper=Keeper(),
        teacher=teacher,
        ranks=ranks,
    )
    trial.network.train()
    spent = []
    started = time.perf_counter()
    batches = training.epoch(1, batch=recipe.batch, seed=seed, augment=recipe.augment)
    for batch in islice(batches, WARM_UP + STEPS):
        trial.step(batch)
        spent.append(time.perf_counter() - started)
        started = time.perf_counter()
    step_s = statistics.median(spent[WARM_UP:] or spent)
    trial.network.eval()
    started, images = time.perf_counter(), 0
    with torch.inference_mode():
        for batch in islice(validation.in_order(recipe.batch), VALIDATION_BATCHES):
            trial.network(trial.inputs(batch)[0])
            images += len(batch.targets)
    image_s = (time.perf_counter() - started) / images
    return float(trial.steps * step_s + len(validation) / ranks.count * image_s)

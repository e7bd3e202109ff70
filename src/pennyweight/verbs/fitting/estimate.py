"""Estimate the time that a training will take on this machine, from a few steps on copies of the network."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from torch import nn

from pennyweight import data
from pennyweight.core.figures import about
from pennyweight.core.preprocess import Preprocess
from pennyweight.train import Ranks, Recipe
from pennyweight.train.autotune import WARM_UP
from pennyweight.train.batches import Batches, Teacher
from pennyweight.train.linear_probe import BATCH, Features, compute_features, find_last_linear
from pennyweight.train.precision import apply_memory_format, make_inputs
from pennyweight.train.time_budget import Pace, measure_pace
from pennyweight.verbs.fitting.modes import head_part
from pennyweight.verbs.fitting.plan import Plan

__all__ = ["estimate", "estimated", "few_steps", "trainings_in_folds"]

SHARE = 30
"""Steps, or pictures, of a training for each one that is timed; this bounds the cost of an estimate."""


def estimate(
    plan: Plan,
    network: nn.Module,
    pictures: Mapping[data.Split, data.Pictures],
    *,
    ranks: Ranks,
    teacher: Teacher | None,
    folds: int = 1,
) -> str:
    """Time a few steps; return a line about the time of the whole training and of scoring the test split.

    `pictures` of a whole network in `folds` are those of one fold. The network does not change. All ranks must call it,
    and get the first one's answer.
    """
    how: dict[str, Any] = {"ranks": ranks, "seed": plan.seed}
    if folds > 1 and plan.recipe.mode == "head":
        return estimated(_in_folds(plan, network, pictures["train"], folds, how))
    recipe, training, validation, seconds = plan.recipe, pictures["train"], pictures["val"], 0.0
    if recipe.mode != "scratch":  # every rank computes the features of all pictures
        seen = len(training) * max(recipe.views, 1) + len(validation)
        picture_s, rows = _one_picture(network, validation, recipe, plan.preprocess, seen, ranks)
        part = head_part(recipe)
        pace = few_steps(find_last_linear(network), rows, rows, part, preprocess=None, epochs=1, **how)
        shown = training.steps(part.batch) * pace.step_s + pace.validation_s * len(validation) / len(rows)
        seconds += seen * picture_s + part.epochs * shown
    if recipe.mode != "head":
        pace = few_steps(
            network,
            training,
            validation,
            recipe,
            preprocess=plan.preprocess,
            teacher=teacher,
            epochs=recipe.epochs,
            **how,
        )
        seconds += pace.seconds(recipe, plan.preprocess.size)
        picture_s = pace.validation_s * ranks.count / len(validation)
    seconds = ranks.gather(seconds + picture_s * len(pictures["test"]))[0]
    return estimated(seconds * trainings_in_folds(folds)) + (f": {folds + 1} trainings" if folds > 1 else "")


def _in_folds(plan: Plan, network: nn.Module, pictures: data.Pictures, folds: int, how: Mapping[str, Any]) -> float:
    """Return the seconds of a training in folds: of the features, and of the steps of every head."""
    recipe = plan.recipe
    seen = len(pictures) * (recipe.views + 1)
    picture_s, rows = _one_picture(network, pictures, recipe, plan.preprocess, seen, how["ranks"])
    if recipe.optimizer == "lbfgs":  # a head takes about as long as the features of a few pictures
        return seen * picture_s
    part = head_part(recipe)
    pace = few_steps(find_last_linear(network), rows, rows, part, preprocess=None, epochs=1, **how)
    return seen * picture_s + (folds + 1) * part.epochs * pictures.steps(part.batch) * pace.step_s


def trainings_in_folds(folds: int) -> float:
    """Return how many times as long all trainings in folds take as one of them, which lacks a fold: 6.25 for five."""
    return 1.0 if folds == 1 else folds + folds / (folds - 1)


def estimated(seconds: float) -> str:
    """Return the line about a training of `seconds`."""
    return f"training takes {about(seconds)} on this machine, as a few timed steps suggest"


def few_steps(
    network: nn.Module,
    training: Batches,
    validation: Batches,
    recipe: Recipe,
    *,
    preprocess: Preprocess | None,
    epochs: int,
    ranks: Ranks,
    seed: int,
    teacher: Teacher | None = None,
) -> Pace:
    """Time one to three training steps on a copy of `network`, and one batch of validation."""
    steps = epochs * training.steps(recipe.batch) // SHARE
    return measure_pace(
        network, training, validation, replace(recipe, compile=False),
        preprocess=preprocess, ranks=ranks, seed=seed, teacher=teacher,
        steps=min(max(steps, 1), WARM_UP + 1), batches=1,
    )  # fmt: skip


def _one_picture(
    network: nn.Module, pictures: data.Pictures, recipe: Recipe, preprocess: Preprocess, seen: int, ranks: Ranks
) -> tuple[float, Features]:
    """Return seconds that the features of one picture take, reading included; and a batch of such features."""
    copied = copy.deepcopy(network).eval()
    apply_memory_format(copied, recipe)
    inputs = make_inputs(preprocess, recipe, ranks.device)
    started = perf_counter()
    batch = next(iter(pictures.in_order(min(BATCH, max(2, seen // SHARE // 2)))))
    x = inputs(batch)[0]
    read_s = perf_counter() - started
    compute_features(copied, x, recipe)  # warms up
    started = perf_counter()
    values = compute_features(copied, x, recipe).numpy()
    picture_s = (read_s + perf_counter() - started) / len(values)
    rows = np.resize(values, (1, head_part(recipe).batch, values.shape[-1]))
    return picture_s, Features(rows, np.resize(batch.targets, rows.shape[:2]))

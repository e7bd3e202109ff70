"""What `fit` measures and checks before the first step of a new run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from pennyweight import data, zoo
from pennyweight.core.download import cache_folder
from pennyweight.core.errors import InputError
from pennyweight.core.labels import numbers_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.train import Ranks
from pennyweight.train.autotune import measure
from pennyweight.train.autotune_features import measure_features
from pennyweight.train.batches import Teacher
from pennyweight.train.deadline import Deadline
from pennyweight.train.distillation import make_teacher
from pennyweight.train.preflight import preflight as check
from pennyweight.train.time_budget import measure_pace
from pennyweight.verbs.fitting.plan import Plan
from pennyweight.verbs.load import preprocess_of, restore

__all__ = ["open_teacher", "prepare"]

LONG_STEPS = 2_000
"""From so many steps on a training is worth a check beforehand."""
LONG_S = 180.0
"""Or from so many seconds on, where there are --minutes."""
MEASURING = 0.1
"""Of the time left, how much may go by before no other way to step is tried, nor another step is timed."""
COMPILING_S = 1_200.0
"""A training with less time than this does not try whether compiling pays: the trial alone takes a minute."""


def prepare(
    plan: Plan,
    network: nn.Module,
    pictures: Mapping[data.Split, data.Pictures],
    *,
    ranks: Ranks,
    teacher: Teacher | None,
    left_s: float | None,
    speed: str | None,
    preflight: bool | None,
    note: Callable[[str], None],
) -> tuple[Plan, dict[str, Any] | None, Deadline | None]:
    """The plan with its way to step and its epochs settled, what was measured for it, and when its epochs must end.

    Raises PennyweightError for what the pre-flight checks find, InputError when the time is over already.
    """
    started = perf_counter()
    whole = plan.recipe.mode != "head"

    def require_time() -> None:
        if whole and left_s is not None and perf_counter() - started >= left_s:
            raise InputError(
                "reading the pictures, the pre-flight checks and measuring took all of --minutes; give it more, or "
                "--no-preflight and --speed fixed"
            )

    require_time()
    recipe, training = plan.recipe, pictures["train"]
    augment = recipe.augment
    within_s = math.inf if left_s is None else MEASURING * left_s
    batches = list(islice(training.epoch(1, batch=recipe.batch, seed=plan.seed, augment=augment), 3))
    long = (left_s or 0.0) > LONG_S or recipe.epochs * training.steps(recipe.batch) >= LONG_STEPS
    if whole and (long if preflight is None else preflight):
        for line in check(network, batches[0], recipe, preprocess=plan.preprocess, classes=plan.model["num_classes"]):
            note(line)
        require_time()
    found, deadline = None, None
    if (speed or ("fixed" if left_s is None else "auto")) == "auto":
        shared: dict[str, Any] = {
            "preprocess": plan.preprocess,
            "ranks": ranks,
            "memory": cache_folder("speed"),
            "settled": plan.said,
        }
        if whole:
            compiling = left_s is None or left_s > COMPILING_S
            measured = measure(network, batches, recipe, compiling=compiling, within_s=within_s, **shared)
        else:
            measured = measure_features(network, batches[0], recipe, **shared)
        measured = ranks.gather(measured)[0]
        note(measured.note("step path" if whole else "features of a few pictures"))
        recipe, found = measured.applied_to(recipe), measured.to_dict()
    asked = {"--minutes": left_s is not None, "--preflight": bool(preflight)}
    if not whole and any(asked.values()):
        idle = " and ".join(filter(asked.get, asked))
        note(f"the last layer takes seconds, so that its epochs are the same without {idle}")
    if left_s is not None and whole:
        pace = measure_pace(
            network, training, pictures["val"], recipe,
            preprocess=plan.preprocess, ranks=ranks, seed=plan.seed, teacher=teacher,
            within_s=within_s / 2,
        )  # fmt: skip
        pace = ranks.gather(pace)[0]
        require_time()
        shown_s = pace.validation_s * ranks.count / len(pictures["val"])  # a picture without training
        first_s = 0.0
        if recipe.mode == "finetune":  # every rank computes the features of all; the layer itself takes seconds
            first_s = shown_s * (len(training) * max(recipe.views, 1) + len(pictures["val"]))
        left_s -= perf_counter() - started + shown_s * len(pictures["test"])  # one rank scores them
        deadline = Deadline(left_s, pace, plan.preprocess.size)
        recipe = ranks.gather(deadline.first(recipe, first_s))[0]
        epoch_s = pace.seconds(recipe, plan.preprocess.size) / recipe.epochs
        if recipe.epochs == 1 and first_s + epoch_s > left_s:
            note(
                f"an epoch takes {epoch_s:.0f} s here: more than is left of --minutes, and one is trained all the same"
            )
        else:
            plural = "s" * (recipe.epochs > 1)
            note(f"an epoch takes {epoch_s:.0f} s here: {recipe.epochs} epoch{plural} in the time given")
        found = {**(found or {}), "epoch_s": epoch_s, "pace": asdict(pace)}
    return replace(plan, recipe=recipe), found, deadline


def open_teacher(
    teacher: str | os.PathLike[str] | None, source: data.Source, ours: Preprocess, device: torch.device
) -> Teacher | None:
    """A run, or a name with its best published weights, as something to learn from. Raises SourceError for a class
    that it does not know."""
    if teacher is None:
        return None
    teacher = os.fspath(teacher)  # of a Run its folder
    if Path(teacher).is_dir():
        run = Run(Path(teacher))
        network, theirs, labels = restore(run), preprocess_of(run), tuple(run.labels)
    elif Path(teacher).is_file():
        raise InputError(f"a teacher is the folder of a run, or a network's name with published weights, not {teacher}")
    else:
        made = zoo.open_pretrained(teacher, "imagenet")
        network, theirs, labels = made.network, made.preprocess, made.labels
    order = numbers_of(source.labels, labels, source=source.name)
    return make_teacher(network, theirs=theirs, ours=ours, order=order, device=device)

"""Pre-flight checks and measurements before the first step of a new run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from pennyweight import data, zoo
from pennyweight.core.cache import cache_folder
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Frame, show_size
from pennyweight.core.labels import match_labels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.train import Ranks, Recipe
from pennyweight.train.autotune import measure
from pennyweight.train.autotune_features import measure_features
from pennyweight.train.batches import Teacher
from pennyweight.train.deadline import Deadline, TooFewMinutes
from pennyweight.train.distillation import make_teacher
from pennyweight.train.preflight import preflight as check
from pennyweight.train.time_budget import measure_pace
from pennyweight.verbs.fitting.plan import Plan
from pennyweight.verbs.load import preprocess_of, restore

__all__ = ["open_teacher", "prepare"]

LONG_STEPS = 2_000
"""Steps from which on a training gets the pre-flight checks by default."""
LONG_S = 180.0
"""Seconds of `--minutes` from which on it gets them too."""
MEASURING = 0.1
"""Share of the time left after which no other way to step is tried, and no further step is timed."""
IN_WORDS: Mapping[Frame, str] = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}
COMPILING_S = 1_200.0
"""A training with less time than this does not try whether compiling pays: the trial alone takes a minute."""


@dataclass(kw_only=True)
class _Preparation:
    """Checks and measurements before the first step of a new run, and the time that they leave."""

    plan: Plan
    network: nn.Module
    pictures: Mapping[data.Split, data.Pictures]
    ranks: Ranks
    teacher: Teacher | None
    left_s: float | None
    """Seconds left of `--minutes` at the beginning; None without them."""
    note: Callable[[str], None]
    started: float = field(default_factory=perf_counter)

    @property
    def whole(self) -> bool:
        """True where the whole network is trained; the last layer alone takes seconds."""
        return self.plan.recipe.mode != "head"

    @property
    def within_s(self) -> float:
        """Seconds after which no other way to step is tried."""
        return math.inf if self.left_s is None else MEASURING * self.left_s

    def require_time(self) -> None:
        """Raise InputError where nothing is left of `--minutes`."""
        if self.whole and self.left_s is not None and perf_counter() - self.started >= self.left_s:
            raise TooFewMinutes(
                "reading the pictures, the pre-flight checks and measuring took all of --minutes; give it more, or "
                "--no-preflight and --speed fixed"
            )

    def first_batches(self) -> list[data.Batch]:
        """Return the first three batches of the first epoch."""
        recipe = self.plan.recipe
        epoch = self.pictures["train"].epoch(1, batch=recipe.batch, seed=self.plan.seed, augment=recipe.augment)
        return list(islice(epoch, 3))

    def check(self, batch: data.Batch, preflight: bool | None) -> None:
        """Run the pre-flight checks, by default before a long training. Raises PennyweightError for what they find."""
        recipe = self.plan.recipe
        steps = recipe.epochs * self.pictures["train"].steps(recipe.batch)
        long = (self.left_s or 0.0) > LONG_S or steps >= LONG_STEPS
        if self.whole and (long if preflight is None else preflight):
            preprocess, classes = self.plan.preprocess, self.plan.model["num_classes"]
            for line in check(self.network, batch, recipe, preprocess=preprocess, classes=classes):
                self.note(line)
            self.require_time()

    def choose_step(self, batches: Sequence[data.Batch]) -> tuple[Recipe, dict[str, Any]]:
        """Return the recipe with the quickest layout, precision and compilation here, and the measurements."""
        recipe = self.plan.recipe
        shared: dict[str, Any] = {
            "preprocess": self.plan.preprocess,
            "ranks": self.ranks,
            "memory": cache_folder("speed"),
            "settled": self.plan.said,
        }
        if self.whole:
            compiling = self.left_s is None or self.left_s > COMPILING_S
            measured = measure(self.network, batches, recipe, compiling=compiling, within_s=self.within_s, **shared)
        else:
            measured = measure_features(self.network, batches[0], recipe, **shared)
        measured = self.ranks.gather(measured)[0]
        self.note(measured.note("step path" if self.whole else "features of a few pictures"))
        return measured.applied_to(recipe), measured.to_dict()

    def fit_minutes(self, left_s: float, recipe: Recipe) -> tuple[Recipe, Deadline, dict[str, Any]]:
        """Time a few steps; return the recipe with the epochs that fit, the deadline, and the measurements."""
        plan, pictures, ranks = self.plan, self.pictures, self.ranks
        training, validation = pictures["train"], pictures["val"]
        pace = measure_pace(
            self.network, training, validation, recipe,
            preprocess=plan.preprocess, ranks=ranks, seed=plan.seed, teacher=self.teacher, within_s=self.within_s / 2,
        )  # fmt: skip
        pace = ranks.gather(pace)[0]
        self.require_time()
        shown_s = pace.validation_s * ranks.count / len(validation)  # a picture without training
        first_s = 0.0
        if recipe.mode == "finetune":  # every rank computes the features of all; the layer itself takes seconds
            first_s = shown_s * (len(training) * max(recipe.views, 1) + len(validation))
        left_s -= perf_counter() - self.started + shown_s * len(pictures["test"])  # one rank scores them
        deadline = Deadline(left_s, pace, plan.preprocess.size)
        recipe = ranks.gather(deadline.first(recipe, first_s))[0]
        epoch_s = pace.seconds(recipe, plan.preprocess.size) / recipe.epochs
        if recipe.epochs == 1 and first_s + epoch_s > left_s:
            fit = "more than is left of --minutes, and one is trained all the same"
        else:
            fit = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} in the time given"
        self.note(f"an epoch takes {epoch_s:.0f} s here: {fit}")
        return recipe, deadline, {"epoch_s": epoch_s, "pace": asdict(pace)}


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
    """Return the plan with its way to step and its epochs, the measurements for them, and the deadline of the epochs.

    Raises PennyweightError for what the pre-flight checks find, InputError when the time is over already.
    """
    work = _Preparation(
        plan=plan, network=network, pictures=pictures, ranks=ranks, teacher=teacher, left_s=left_s, note=note
    )
    work.require_time()
    batches = work.first_batches()
    work.check(batches[0], preflight)
    recipe, found, deadline = plan.recipe, None, None
    if (speed or ("fixed" if left_s is None else "auto")) == "auto":
        recipe, found = work.choose_step(batches)
    idle = {"--minutes": left_s is not None, "--preflight": bool(preflight)}
    if not work.whole and any(idle.values()):
        without = " and ".join(filter(idle.get, idle))
        note(f"the last layer takes seconds, so that its epochs are the same without {without}")
    if left_s is not None and work.whole:
        recipe, deadline, pace = work.fit_minutes(left_s, recipe)
        found = {**(found or {}), **pace}
    return replace(plan, recipe=recipe), found, deadline


def open_teacher(
    teacher: str | os.PathLike[str] | None,
    source: data.Source,
    ours: Preprocess,
    device: torch.device,
    note: Callable[[str], None] = lambda line: None,
) -> Teacher | None:
    """Return a run, or a network with its best published weights, as the teacher of a distillation.

    `note` is given a line where the teacher's input has another size, shape or frame. Raises SourceError for a class
    that the teacher does not know.
    """
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
    order = match_labels(source.labels, labels, source=source.name)
    if line := _seen_by_teacher(theirs, ours):
        note(line)
    return make_teacher(network, theirs=theirs, ours=ours, order=order, device=device)


def _seen_by_teacher(theirs: Preprocess, ours: Preprocess) -> str:
    """Return a line on the pictures that a teacher sees, if its own input differs from them; else an empty text."""
    (height, width), (high, wide) = theirs.sides, ours.sides
    if theirs.sides == ours.sides and theirs.frame == ours.frame:
        return ""
    scaled = "enlarged" if height * width > high * wide else "reduced"
    fitted = f" {scaled}" if (height, width) != (high, wide) else ""
    if height * wide != width * high:
        fitted = " stretched to its shape"
    return (
        f"the teacher learned from {IN_WORDS[theirs.frame]} pictures of {show_size(theirs.size)}; it sees the "
        f"{IN_WORDS[ours.frame]} ones of {show_size(ours.size)}{fitted}, and may know them less well"
    )

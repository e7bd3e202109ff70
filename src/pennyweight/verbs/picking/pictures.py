"""Pictures of a search: candidates answer held-out ones, by heads on features or after a short training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from rich.console import Console

from pennyweight import data, zoo
from pennyweight.core.errors import InputError, PennyweightError, SourceError
from pennyweight.core.frame import side_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.intervals import effective_count, interval
from pennyweight.report.progress import TrainingProgress
from pennyweight.search.space import Candidate
from pennyweight.train import Recipe, train
from pennyweight.train.autotune import WARM_UP
from pennyweight.train.callbacks import NullCallback, best_of
from pennyweight.train.deadline import Deadline
from pennyweight.train.phase import Phase
from pennyweight.train.time_budget import Pace, measure_pace
from pennyweight.verbs.fitting.choose_network import MOST, try_networks
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.first_weights import NONE, SMALL_INPUT, Fetcher
from pennyweight.verbs.fitting.open import PictureFit, open_fit, plan_fit
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.size_trial import LEAST, TrialPictures
from pennyweight.verbs.picking.options import SourcePick

__all__ = ["Answer", "TriedPictures"]

MOST_TAUGHT, MOST_ASKED = 20_000, 1_000
"""Most pictures that a short training learns from, and that it is judged by."""
MEASURING, TIMED = 0.1, 3
"""Share of a training's seconds, and most steps, in which its speed is measured."""
LEAST_STEPS, LEAST_BATCH = 60, 16
"""Steps of a short training, below which it has smaller batches, and the smallest of these."""
LEAST_EPOCHS = 4
"""Epochs of a short training; it learns from fewer pictures where all of them would take longer."""


class Answer(NamedTuple):
    """Share of the held-out pictures that a candidate answers correctly."""

    accuracy: float
    interval: tuple[float, float]
    """95% interval."""
    pictures: int
    seconds: float
    """Seconds of the trial."""


class TriedPictures:
    """Pictures of a source, divided once; no candidate learns from the test split, or answers it."""

    def __init__(self, asked: SourcePick, source: data.Source) -> None:
        """Divide the source, as it was opened. Raises PennyweightError for one that is too small."""
        self.request = FitRequest(
            source=asked.source, model=AUTO, weights=NONE, seed=asked.seed, group_by=asked.group_by,
            read_as=asked.read_as, folds=1, progress=False,
        )  # fmt: skip
        opened = replace(self.request, source=source, group_by=None, read_as=None, input_size=SMALL_INPUT)
        self.fitting = open_fit(opened, perf_counter())
        self.source = self.fitting.source
        self._trial = TrialPictures(self.fitting, MOST)
        if len(self._trial) < LEAST:
            raise SourceError(
                f"{self.source.name} has {len(self._trial)} training pictures, and candidates are told apart by at "
                f"least {LEAST}; pick without a source compares costs alone"
            )
        self._paces: dict[str, Pace] = {}
        self._read: dict[Preprocess, dict[data.Split, data.Pictures]] = {}

    @property
    def size(self) -> int:
        """Side of the pictures in pixels, as `fit` takes it."""
        return side_of(self.source.size)

    @property
    def are_small(self) -> bool:
        """True for pictures whose networks keep their size in the first layers, and that are no photographs."""
        return self.size < SMALL_INPUT

    def with_weights(self, sizes: Sequence[int], weights: str | os.PathLike[str] | None) -> list[Candidate]:
        """Return the networks with weights at hand, at their own input size and at smaller ones of `sizes`.

        Args:
            sizes: Sides of inputs in pixels.
            weights: File, or folder of files; None for the published weights in the cache, "none" for no network.
        """
        if weights is None:
            usable = not self.are_small and self.source.channels in (1, 3)
            named = zoo.cached_weights() if usable else []
        elif weights == NONE:
            named = []
        else:
            named = [(AUTO, os.fspath(file)) for file in zoo.files_of(Path(weights)) or [Path(weights)]]
        found: list[Candidate] = []
        for network, first in named:
            try:
                plan = self._planned(replace(self.request, model=network, weights=first)).plan
            except PennyweightError:
                if weights is None or len(named) > 1:
                    continue
                raise
            own = side_of(plan.preprocess.size)
            model = plan.model
            smaller = [size for size in sizes if size < own]
            taken = any(each.network == model["name"] for each in found)  # two files with weights of one network
            changed = f"with {Path(first).name}" if taken else "with weights"
            found += [
                Candidate(model["name"], model["config"], size, changed, model["stem"], first)
                for size in (*smaller, own)
            ]
        return found

    def answer_by_head(self, candidate: Candidate) -> Answer:
        """Return the answers, in folds, of heads on the features of a network with its weights.

        Raises InputError for a network that cannot be tried.
        """
        started = perf_counter()
        with TrainingProgress(0, Console(quiet=True)) as shown:
            trials, _, notes = try_networks([self.request_of(candidate)], self._trial, self._planned, shown)
        if not trials:
            raise InputError(notes[0] if notes else "a class has too few pictures that can be read")
        trial = trials[0]
        return Answer(trial.accuracy, trial.interval, len(trial.correct), perf_counter() - started)

    def answer_by_training(self, candidate: Candidate, seconds: float) -> Answer:
        """Return the validation accuracy of the best epoch after `seconds` of training from scratch.

        Raises PennyweightError for a network that cannot be trained.
        """
        started = perf_counter()
        fitting = self._planned(self.request_of(candidate))
        plan, pictures, ranks = fitting.plan, self._pictures(fitting), fitting.ranks
        training, validation, recipe, size = pictures["train"], pictures["val"], plan.recipe, plan.preprocess.size
        pace = self._paces.get(candidate.name) or measure_pace(
            fitting.network, training, validation, recipe, preprocess=plan.preprocess, ranks=ranks, seed=plan.seed,
            teacher=None, within_s=MEASURING * seconds, steps=WARM_UP + TIMED, batches=1,
        )  # fmt: skip
        self._paces[candidate.name] = pace
        left_s = max(seconds - (perf_counter() - started), seconds / 2)
        recipe, pace = _in_steps(recipe, pace, left_s)
        deadline = Deadline(left_s, replace(pace, steps=training.steps(recipe.batch)), size)
        recipe = deadline.first(recipe)
        if recipe.epochs < LEAST_EPOCHS:
            training = _part(training, deadline.pace, left_s / LEAST_EPOCHS)
            deadline = Deadline(left_s, replace(pace, steps=training.steps(recipe.batch)), size)
            recipe = deadline.first(recipe)
        recipe = replace(recipe, warmup_epochs=min(recipe.warmup_epochs, recipe.epochs / 4))
        history = train(
            fitting.network, training=training, validation=validation, recipe=recipe, seed=plan.seed,
            callback=NullCallback(), after_epoch=lambda epochs, best: None, preprocess=plan.preprocess,
            class_weights=training.balance.weights if training.balance else None, ranks=ranks,
            phase=Phase(replan=lambda epochs, done: deadline.fitted(recipe, epochs, done)),
        )  # fmt: skip
        best = best_of(history)
        assert best is not None
        samples = validation.samples
        correct = round(best.val_accuracy * len(samples))
        moments = data.moments_of(self.source, fitting.twins, samples)
        effective = None if moments is None else effective_count(moments)
        found = interval(correct, len(samples), effective)
        return Answer(best.val_accuracy, found, len(samples), perf_counter() - started)

    def request_of(self, candidate: Candidate) -> FitRequest:
        """Return the arguments of `fit` for a candidate."""
        return replace(
            self.request, model=candidate.network, config=dict(candidate.config), stem=candidate.stem,
            weights=candidate.weights or NONE, input_size=candidate.size,
        )  # fmt: skip

    def _planned(self, request: FitRequest) -> PictureFit:
        """Return the training of a request on the pictures that are open."""
        base = self.fitting
        planned = plan_fit(
            request, base.splits, None, ranks=base.ranks, source=base.source, learned=base.learned,
            fetch=Fetcher(None, base.ranks),
        )  # fmt: skip
        return replace(planned, rule=base.rule, glances=base.glances, twins=base.twins)

    def _pictures(self, fitting: PictureFit) -> dict[data.Split, data.Pictures]:
        """Return drawn pictures for a short training, in the network's input; those of the last input are kept."""
        preprocess = fitting.plan.preprocess
        if preprocess not in self._read:
            self._read.clear()
            train_, val = _drawn(fitting.splits.train, MOST_TAUGHT), _drawn(fitting.splits.val, MOST_ASKED)
            made = data.make_split_pictures(self.source, replace(fitting.splits, train=train_, val=val), preprocess)
            pictures: dict[data.Split, data.Pictures] = {"train": made["train"], "val": made["val"]}
            for part in pictures.values():
                part.read()
            pictures["train"].balance = data.Balance.of(
                pictures["train"].targets, len(self.source.labels), fitting.plan.recipe.balance, streamed=False
            )
            self._read[preprocess] = pictures
        return self._read[preprocess]


def _drawn(samples: Sequence[data.Sample], most: int) -> tuple[data.Sample, ...]:
    """Return at most so many samples, drawn at random, in their order."""
    if len(samples) <= most:
        return tuple(samples)
    numbers = np.random.default_rng(0).permutation(len(samples))[:most]
    return tuple(samples[number] for number in np.sort(numbers).tolist())


def _in_steps(recipe: Recipe, pace: Pace, left_s: float) -> tuple[Recipe, Pace]:
    """Return the recipe with batches so small that LEAST_STEPS fit the seconds, and its pace."""
    batch = min(max(int(recipe.batch * left_s / pace.step_s / LEAST_STEPS), LEAST_BATCH), recipe.batch)
    less = batch / recipe.batch
    faster = replace(pace, step_s=pace.step_s * less, first_step_s=pace.first_step_s * less)
    return replace(recipe, batch=batch), faster


def _part(training: data.Pictures, pace: Pace, epoch_s: float) -> data.Pictures:
    """Return so many pictures that an epoch takes `epoch_s` seconds, at least a twentieth of all."""
    share = (epoch_s - pace.validation_s) / (pace.steps * pace.step_s)
    count = int(len(training) * min(max(share, 0.05), 1.0))
    which = np.zeros(len(training), np.bool_)
    which[np.random.default_rng(0).permutation(len(training))[:count]] = True
    return training.part(which)

"""Check a recipe's augmentation against the labels before training, and leave out what contradicts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from pennyweight import data
from pennyweight.data.augment.alone import changes_of
from pennyweight.train.contradictions import ROUND, SIDES, Examples, Findings, find_contradictions
from pennyweight.train.quick_network import BATCH, shrink
from pennyweight.train.work_clock import work_clock
from pennyweight.verbs.fitting.augmentation_notes import describe_findings, field_of, without
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["check_augmentation"]

LEAST_S, LIMIT_S = 2.0, 10.0
"""Fewest and usual most seconds of the check."""
SHARE, LARGEST_SHARE = 0.05, 0.2
"""Shares of `--minutes` that the check may take: the first where that is more than LIMIT_S, at most the second."""
PATIENCE = 3
"""Times as long as the check may take on a busy machine, where `--minutes` do not count."""
READING = 1 / 3
"""Share of the seconds in which pictures that are not kept in memory are read."""
MOST = 2_048
"""Most pictures to learn from."""
MOST_SCORED = 1_024
"""Most pictures to answer for."""
SEED = 0
"""Seed of the check: trainings with several seeds have the same recipe."""
SHORT = "augmentation was not checked against the labels: training shows fewer than {least} pictures, counting repeats"
FOLDED = "augmentation was not checked against the labels: the check needs a validation split, which folds do not have"
PLAIN = data.Augment(flip=False, shift=0.0)


def check_augmentation(fitting: PictureFit, session: RunSession) -> None:
    """Leave out of a new run's recipe the changes that contradict the labels; note each, and what the user insists on.

    A run that resumes has the recipe that it began with, and notes what was left out. With the findings of another run
    in place of a rule, these are applied.
    """
    rule = fitting.request.augment
    if not session.begins:
        for line in (session.record.augmentation or {}).get("notes", ()):
            session.shown.note(line)
        return
    recipe, training = fitting.plan.recipe, fitting.pictures["train"]
    steps = recipe.epochs * len(training) // BATCH
    seen = recipe.mode != "head" or recipe.views
    if rule == "keep" or not seen or not changes_of(recipe.augment):
        return
    if isinstance(rule, Mapping):
        found = rule
    elif fitting.folds > 1:
        found = {"left_out": {}, "notes": [FOLDED]}
    elif steps < ROUND:
        found = {"left_out": {}, "notes": [SHORT.format(least=ROUND * BATCH)]}
    else:
        tried = _find(fitting, steps) if not fitting.ranks.number else Findings()
        found = describe_findings(fitting.ranks.gather(tried)[0], recipe, fitting.source.labels, fitting.plan.said)
    for line in found["notes"]:
        session.shown.note(line)
    recipe = without(recipe, [name for name in found["left_out"] if field_of(name) not in fitting.plan.said])
    fitting.plan = replace(fitting.plan, recipe=recipe, why=(*fitting.plan.why, *found["notes"]))
    fitting.augmentation = found


def _find(fitting: PictureFit, steps: int) -> Findings:
    """Read pictures of training and validation, and try the recipe's changes on them."""
    started = perf_counter()
    minutes, plan = fitting.request.minutes, fitting.plan
    within_s = LIMIT_S
    if minutes is not None:
        within_s = max(LEAST_S, min(max(LIMIT_S, SHARE * 60 * minutes), LARGEST_SHARE * 60 * minutes))
    clock = work_clock(PATIENCE if minutes is None else 1)
    training = _training_examples(fitting.pictures["train"], READING * within_s, clock)
    scored = _scored_examples(fitting.pictures["val"], 2 * READING * within_s, clock)
    augment = plan.recipe.augment
    augment = replace(augment, shift=fitting.pictures["train"].reach(augment))
    found = find_contradictions(
        training, scored, augment, classes=len(fitting.source.labels), seed=SEED, steps=steps,
        within_s=within_s - clock(), device=fitting.ranks.device, clock=clock,
    )  # fmt: skip
    found.seconds = perf_counter() - started
    return found


def _training_examples(pictures: data.Pictures, until: float, clock: Callable[[], float]) -> Examples:
    """Return small copies of training pictures, read until that moment of the clock."""
    if isinstance(pictures, data.Stream):  # this rank alone reads
        pictures = pictures.alone()
    parts, count = [], 0
    for batch in pictures.epoch(1, batch=BATCH, seed=SEED, augment=PLAIN):
        parts.append(Examples(shrink(np.asarray(batch.pixels), SIDES[-1]), batch.targets))
        count += len(batch.targets)
        if count >= MOST or clock() >= until:
            break
    return _joined(parts)


def _scored_examples(pictures: data.Pictures, until: float, clock: Callable[[], float]) -> Examples:
    """Return small copies of validation pictures, read until that moment of the clock."""
    numbers = np.random.default_rng(SEED).permutation(len(pictures))[:MOST_SCORED]
    parts = []
    for start in range(0, len(numbers), BATCH):
        some = np.sort(numbers[start : start + BATCH])
        parts.append(Examples(shrink(pictures.pixels(some), SIDES[-1]), pictures.targets[some]))
        if clock() >= until:
            break
    return _joined(parts)


def _joined(parts: Sequence[Examples]) -> Examples:
    pixels, targets = zip(*parts, strict=True)
    return Examples(np.concatenate(pixels), np.concatenate(targets))

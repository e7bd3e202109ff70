"""Scratch, head, finetune: which part of the network is trained when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pennyweight import data
from pennyweight.core.files import write_lines
from pennyweight.nn.weights import save_weights
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Checkpointer, Epoch, Ranks, Recipe, train
from pennyweight.train.batches import Teacher
from pennyweight.train.callbacks import best_of
from pennyweight.train.feature_cache import FeatureCache
from pennyweight.train.linear_probe import extract_features, find_last_linear
from pennyweight.train.trackers import Tracker
from pennyweight.verbs.fitting.plan import Plan
from pennyweight.verbs.fitting.resume import FEATURES

__all__ = ["Work", "head_part", "train_by_mode"]

WATCHED_EPOCH = 2
"""The first epoch also warms up."""
MOST_WAITING = 0.3
"""Share of an epoch's time spent waiting for pictures from which that is said."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A run about to be trained."""

    folder: Path
    network: nn.Module
    pictures: Mapping[data.Split, data.Pictures]
    plan: Plan
    shown: TrainingProgress
    checkpointer: Checkpointer
    ranks: Ranks
    teacher: Teacher | None
    tracker: Tracker
    labels: Sequence[str]
    trained_on: Mapping[str, Any]
    """name, fingerprint and group_by of the pictures."""
    refit: Callable[[Recipe, int], Recipe] | None = None
    """As `train` takes it, for the whole network."""

    @property
    def class_weights(self) -> NDArray[np.float32] | None:
        """How much a picture of each class counts, where that is what is done about unequal classes."""
        balance = self.pictures["train"].balance
        return None if balance is None else balance.weights

    def kept_features(self, split: data.Split) -> FeatureCache:
        """Those of a split, in the run's folder until it is complete. Each rank may end alone: nobody waits here."""
        checkpointer = self.checkpointer
        folder = self.folder / FEATURES / split
        return FeatureCache(folder, every_s=checkpointer.every_s, stop=checkpointer.stop, writes=not self.ranks.number)


def train_by_mode(work: Work) -> Epoch:
    """Train as the recipe's mode says; the best epoch, whose weights are in the run's folder."""
    recipe = work.plan.recipe
    kept = work.checkpointer.latest()
    history: list[Epoch] = []
    if recipe.mode == "head" or (recipe.mode == "finetune" and (kept is None or kept["phase"] == "head")):
        history = _head(work, recipe)
    if recipe.mode != "head":
        alone = len(history) if kept is None or kept["phase"] == "head" else kept["earlier"]
        work.shown.expect(alone + recipe.epochs, apart=alone)  # fewer than were asked for where patience ended them
        history = train(
            work.network,
            training=work.pictures["train"],
            validation=work.pictures["val"],
            recipe=recipe,
            preprocess=work.plan.preprocess,
            class_weights=work.class_weights,
            teacher=work.teacher,
            phase="network",
            history=history,
            refit=work.refit,
            **_shared(work),
        )
    best = best_of(history)
    assert best is not None
    return best


def head_part(recipe: Recipe) -> Recipe:
    """Return the recipe of the last layer alone: of mode head, or of what finetune does before the trunk moves."""
    if recipe.mode == "finetune":
        recipe = replace(
            recipe,
            epochs=recipe.head_epochs,
            optimizer="adamw",
            lr=recipe.head_lr,
            schedule="cosine",
            warmup_epochs=0.0,
        )
    # What augments pictures, or speeds up a network, does nothing for rows of features.
    return replace(recipe, mixup=0.0, cutmix=0.0, precision="float32", compile=False)


def _head(work: Work, recipe: Recipe) -> list[Epoch]:
    """Train the last linear layer on features that are computed once."""
    features = {}
    asked: tuple[tuple[data.Split, int], ...] = (("train", recipe.views), ("val", 0))
    for split, views in asked:
        pictures = work.pictures[split]
        if isinstance(pictures, data.Stream):  # every rank learns from the features of all
            pictures = pictures.alone()
        with work.shown.phase(f"features of {split}", len(pictures) * max(views, 1)) as phase:
            features[split] = extract_features(
                work.network,
                pictures,
                recipe,
                views=views,
                seed=work.plan.seed,
                device=work.ranks.device,
                advance=phase.advance,
                kept=work.kept_features(split),
            )
    return train(
        find_last_linear(work.network),
        training=features["train"],
        class_weights=work.class_weights,
        validation=features["val"],
        recipe=head_part(recipe),
        preprocess=None,
        phase="head",
        **_shared(work),
    )


def _shared(work: Work) -> dict[str, Any]:
    """What both parts of a training are told alike."""
    said = work.plan.describe(work.labels, work.trained_on)

    def keep(epochs: Sequence[Epoch], best: bool) -> None:
        if work.ranks.number:
            return
        if best:
            save_weights(work.folder / "weights.safetensors", work.network, said | {"epoch": str(len(epochs))})
        # All of them: a run that was killed may have more lines than epochs that were kept.
        write_lines(work.folder / "metrics.jsonl", [epoch.to_dict() for epoch in epochs])
        work.tracker.epoch(epochs[-1].to_dict())
        if len(epochs) == WATCHED_EPOCH and epochs[-1].loader_share > MOST_WAITING:
            work.shown.note(_loader_bound(work.pictures["train"], epochs[-1]))

    return {
        "seed": work.plan.seed,
        "callback": work.shown,
        "checkpointer": work.checkpointer,
        "ranks": work.ranks,
        "after_epoch": keep,
    }


def _loader_bound(pictures: data.Pictures, epoch: Epoch) -> str:
    """That training waits for its pictures, and what would change it."""
    policy = "--set policy=none, " if pictures.heavy else ""
    return (
        f"loading holds training back: {epoch.loader_share:.0%} of an epoch went by waiting for pictures; "
        f"what helps: {pictures.advice}{policy}more cores, or a smaller --input"
    )

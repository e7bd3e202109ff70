"""Modes scratch, head and finetune: train the whole network, a linear probe, or one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pennyweight import data
from pennyweight.nn.weights import save_weights
from pennyweight.train import Epoch, Recipe, train
from pennyweight.train.batches import KnownScores, Teacher
from pennyweight.train.feature_cache import FeatureCache
from pennyweight.train.linear_probe import Features, extract_features, find_last_linear
from pennyweight.train.phase import Phase, Replan
from pennyweight.train.trackers import Tracker
from pennyweight.verbs.fitting.plan import Plan
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["Work", "features_of", "head_part", "train_by_mode"]

WATCHED_EPOCH = 2
"""The first epoch also warms up."""
MOST_WAITING = 0.3
"""Share of an epoch's time spent waiting for pictures from which on a line says so."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Run that is about to be trained."""

    session: RunSession
    network: nn.Module
    pictures: Mapping[data.Split, data.Pictures]
    plan: Plan
    teacher: Teacher | None
    tracker: Tracker
    labels: Sequence[str]
    trained_on: Mapping[str, Any]
    """Name, fingerprint and group_by of the pictures."""
    replan: Replan | None = None
    """Function that re-plans the epochs of the whole network, as `Phase` takes it."""
    in_folds: bool = False
    """True for a training in folds: it keeps the weights of its last epoch, and none is chosen."""
    known: KnownScores = ()
    """(Loss, accuracy) of every epoch in folds, in place of a validation split; empty where there is one."""
    computed: dict[str, Features] = field(default_factory=dict)
    """Features of the frozen trunk that were computed, by the name of their pictures."""

    @property
    def class_weights(self) -> NDArray[np.float32] | None:
        """Weight of each class in the loss (classes,); None where unequal classes are not treated so."""
        balance = self.pictures["train"].balance
        return None if balance is None else balance.weights

    def feature_cache(self, split: str) -> FeatureCache:
        """Return the features, of a split or of its views, that the run's folder has until it is complete.

        Each rank may end alone: none waits here for another.
        """
        session, checkpointer = self.session, self.session.checkpointer
        folder, writes = session.files.features_path / split, not session.ranks.number
        return FeatureCache(folder, every_s=checkpointer.every_s, stop=checkpointer.stop, writes=writes)


def train_by_mode(work: Work) -> list[Epoch]:
    """Train as the recipe's mode says; the weights of the best epoch, in folds of the last, are in the run's folder."""
    recipe = work.plan.recipe
    kept = work.session.checkpointer.latest()
    history: list[Epoch] = []
    if recipe.mode == "head" or (recipe.mode == "finetune" and (kept is None or kept["phase"] == "head")):
        history = _head(work, recipe)
    if recipe.mode != "head":
        alone = len(history) if kept is None or kept["phase"] == "head" else kept["earlier"]
        if not work.in_folds:  # early stopping may have ended the last layer's epochs
            work.session.shown.expect(alone + recipe.epochs, apart=alone)
        history = train(
            work.network,
            training=work.pictures["train"],
            validation=work.known or work.pictures["val"],
            recipe=recipe,
            preprocess=work.plan.preprocess,
            class_weights=work.class_weights,
            teacher=work.teacher,
            phase=Phase(name="network", history=history, plan=work.plan.replanned, replan=work.replan),
            **_shared(work),
        )
    return history


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
    """Train the last linear layer (linear probe) on features that are computed once."""
    training = work.computed["train"] = features_of(work, "train", work.pictures["train"], recipe.views)
    if not work.known:
        validation = work.computed["val"] = features_of(work, "val", work.pictures["val"], 0)
    return train(
        find_last_linear(work.network),
        training=training,
        class_weights=work.class_weights,
        validation=work.known or validation,
        recipe=head_part(recipe),
        preprocess=None,
        phase=Phase(name="head"),
        **_shared(work),
    )


def features_of(work: Work, name: str, pictures: data.Pictures, views: int) -> Features:
    """Compute the features of pictures, in `views` augmented views; the run's folder keeps them as `name`."""
    if isinstance(pictures, data.Stream):  # every rank learns from the features of all
        pictures = pictures.alone()
    with work.session.shown.phase(f"features of {name}", len(pictures) * max(views, 1)) as phase:
        return extract_features(
            work.network,
            pictures,
            work.plan.recipe,
            views=views,
            seed=work.plan.seed,
            device=work.session.ranks.device,
            advance=phase.advance,
            kept=work.feature_cache(name),
        )


def _shared(work: Work) -> dict[str, Any]:
    """Return the arguments of `train` that both phases share."""
    session, said = work.session, work.plan.describe(work.labels, work.trained_on)

    def keep(epochs: Sequence[Epoch], best: bool) -> None:
        if session.ranks.number:
            return
        if best or work.in_folds:
            save_weights(session.files.weights_path, work.network, said | {"epoch": str(len(epochs))})
        session.keep_metrics(epochs)
        work.tracker.epoch(epochs[-1].to_dict())
        if len(epochs) == WATCHED_EPOCH and epochs[-1].loader_share > MOST_WAITING:
            session.shown.note(_loader_bound(work.pictures["train"], epochs[-1]))

    return {
        "seed": work.plan.seed,
        "callback": session.shown,
        "checkpointer": session.checkpointer,
        "ranks": session.ranks,
        "after_epoch": keep,
    }


def _loader_bound(pictures: data.Pictures, epoch: Epoch) -> str:
    """Return a line about training that waits for its pictures, with remedies."""
    policy = "--set policy=none, " if pictures.heavy else ""
    return (
        f"data loading is the bottleneck: {epoch.loader_share:.0%} of an epoch was spent waiting for pictures; "
        f"what helps: {pictures.advice}{policy}more cores, or a smaller --input"
    )

"""The training loop, written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.train.batches import Batches, Teacher
from pennyweight.train.callbacks import Callback, Epoch
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.distributed import Ranks
from pennyweight.train.recipe import Recipe
from pennyweight.train.reproducible import reproducible
from pennyweight.train.trainer import Trainer

__all__ = ["train"]


def train(
    model: nn.Module,
    *,
    training: Batches,
    validation: Batches,
    recipe: Recipe,
    seed: int,
    callback: Callback,
    after_epoch: Callable[[list[Epoch], bool], None],
    preprocess: Preprocess | None,
    class_weights: NDArray[np.float32] | None = None,
    checkpointer: Checkpointer | None = None,
    teacher: Teacher | None = None,
    ranks: Ranks | None = None,
    phase: str = "network",
    history: Sequence[Epoch] = (),
    refit: Callable[[Recipe, int], Recipe] | None = None,
) -> list[Epoch]:
    """Train `model` in place and return every epoch, `history` (those of the phases before this one) included.

    `preprocess` says how pixels become the network's input; without it batches are inputs already. `class_weights`
    (classes,) say how much a picture of each class counts in the loss.
    `after_epoch(epochs, best)` is called while the model holds the weights of the last of them (with `ema` their
    average), and says whether it is the best so far; the caller keeps those. Before it `refit(recipe, done)` may plan
    the rest of the epochs again. A training resumes from the newest state of `checkpointer`, also in the middle of
    an epoch. One seed decides everything: on one machine with one number of threads, equal calls give equal bits,
    whether they were interrupted or not. Raises PennyweightError when the loss is no longer a number, InputError when
    memory does not hold a step.
    """
    ranks = ranks or Ranks()
    with reproducible(seed + ranks.number):
        training_ = Trainer(
            model,
            training=training,
            recipe=recipe,
            seed=seed,
            callback=callback,
            preprocess=preprocess,
            class_weights=class_weights,
            checkpointer=checkpointer or Checkpointer(),
            teacher=teacher,
            ranks=ranks,
            phase=phase,
            history=history,
        )
        progress = training_.progress
        if training_.resume() and not progress.sums.steps and progress.own:
            # It was kept between an epoch's end and what the caller does then.
            with training_.averaged():
                after_epoch(progress.history, progress.own[-1] == progress.best)
        while len(progress.own) < training_.recipe.epochs and not progress.should_stop_early(recipe.patience):
            training_.epoch()
            epoch = training_.validate(validation)
            best = epoch.better_than(progress.best)
            progress.history.append(epoch)
            if refit is not None:
                training_.replan(refit(training_.recipe, len(progress.own)))
            # First the state, then what the caller keeps: a kill between the two is made good by resuming.
            training_.keep()
            with training_.averaged():
                after_epoch(progress.history, best)
            callback.epoch_finished(epoch.to_dict())
            training_.heed()
    return progress.history

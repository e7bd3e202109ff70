"""The training loop, written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.train.batches import Batches, KnownScores, Teacher
from pennyweight.train.callbacks import Callback, Epoch
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.distributed import Ranks
from pennyweight.train.phase import Phase, Replan
from pennyweight.train.recipe import Recipe
from pennyweight.train.reproducible import reproducible
from pennyweight.train.trainer import Trainer

__all__ = ["train"]

AfterEpoch = Callable[[list[Epoch], bool], None]


def train(
    model: nn.Module,
    *,
    training: Batches,
    validation: Batches | KnownScores,
    recipe: Recipe,
    seed: int,
    callback: Callback,
    after_epoch: AfterEpoch,
    preprocess: Preprocess | None,
    class_weights: NDArray[np.float32] | None = None,
    checkpointer: Checkpointer | None = None,
    teacher: Teacher | None = None,
    ranks: Ranks | None = None,
    phase: Phase | None = None,
) -> list[Epoch]:
    """Train `model` in place, and return the record of every epoch, those of earlier phases included.

    The seed decides every random choice: on one CPU with one number of threads, equal calls give equal bits,
    interrupted or not. A training resumes from the newest checkpoint, also in the middle of an epoch.

    Args:
        model: Network to train.
        training: Batches to learn from.
        validation: Batches that choose the best epoch, or the scores that epochs have in folds.
        recipe: Every choice of the training.
        seed: Seed of every random choice.
        callback: Receives the events of epochs and steps.
        after_epoch: Called with (epochs, best) while the model holds the last one's weights, with `ema` their moving
            average. `best` is true for the best epoch so far, whose weights the caller keeps.
        preprocess: Turns pixels into the network's input; None where batches are inputs already.
        class_weights: Weight of each class in the loss, (classes,).
        checkpointer: Saves checkpoints, and resumes from the newest.
        teacher: Network to learn from (distillation).
        ranks: Processes of a distributed training.
        phase: Part of a longer training, with a plan of epochs that may change on the way.

    Raises:
        PennyweightError: The loss is not finite any more.
        InputError: Memory does not hold a step, or the checkpoint is of another network.
    """
    ranks = ranks or Ranks()
    with reproducible(seed + ranks.number):
        trainer = Trainer(
            model, training=training, recipe=recipe, seed=seed, callback=callback, preprocess=preprocess,
            class_weights=class_weights, checkpointer=checkpointer or Checkpointer(), teacher=teacher, ranks=ranks,
            phase=phase,
        )  # fmt: skip
        _run_epochs(trainer, validation, after_epoch, None if phase is None else phase.replan)
    return trainer.progress.history


def _run_epochs(
    trainer: Trainer, validation: Batches | KnownScores, after_epoch: AfterEpoch, replan: Replan | None
) -> None:
    """Resume, and train every epoch that is not done yet, until the plan ends or early stopping does."""
    progress, patience = trainer.progress, trainer.recipe.patience
    if trainer.resume() and not progress.sums.steps and progress.own:
        # The checkpoint was saved between the end of an epoch and the caller's work after it.
        with trainer.averaged():
            after_epoch(progress.history, progress.own[-1] == progress.best)
    while len(progress.own) < progress.plan.epochs and not progress.should_stop_early(patience):
        trainer.epoch()
        epoch = trainer.validate(validation)
        best = epoch.better_than(progress.best)
        progress.history.append(epoch)
        if replan is not None:
            trainer.replan(replan(progress.plan, len(progress.own)))
        # The checkpoint comes before the caller's work: resuming makes up for a kill between the two.
        trainer.interrupts.save()
        with trainer.averaged():
            after_epoch(progress.history, best)
        trainer.callback.epoch_finished(epoch.to_dict())
        trainer.interrupts.stop_if_asked()

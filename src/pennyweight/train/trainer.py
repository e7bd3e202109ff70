"""A network with all that a step of it needs: forward, backward, validation, and what a signal may cut short."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.signals import Abandoned
from pennyweight.data import Batch
from pennyweight.train.batches import Batches, Teacher, require_parts, time_waits
from pennyweight.train.callbacks import Callback, Epoch
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.compile_errors import explaining_compile_errors
from pennyweight.train.distributed import Ranks
from pennyweight.train.ema import MovingAverage
from pennyweight.train.interrupts import interruptible_backward
from pennyweight.train.loss import compute_loss
from pennyweight.train.optimizer import lr_factor, make_optimizer, make_schedule
from pennyweight.train.out_of_memory import explaining_out_of_memory
from pennyweight.train.precision import apply_memory_format, autocast, make_inputs, set_train_mode
from pennyweight.train.recipe import Recipe
from pennyweight.train.state import Progress, Sums

__all__ = ["Trainer"]

LONG_S = 1.0
"""A signal does not wait for the end of a step that takes longer."""


class Trainer:
    """A model with all that one step of it needs."""

    def __init__(
        self,
        model: nn.Module,
        *,
        training: Batches,
        recipe: Recipe,
        seed: int,
        callback: Callback,
        preprocess: Preprocess | None,
        class_weights: NDArray[np.float32] | None = None,
        checkpointer: Checkpointer,
        teacher: Teacher | None,
        ranks: Ranks,
        phase: str = "network",
        history: Sequence[Epoch] = (),
    ) -> None:
        self.training, self.recipe, self.seed, self.teacher = training, recipe, seed, teacher
        self.callback, self.checkpointer, self.ranks = callback, checkpointer, ranks
        self.steps = training.steps(recipe.batch)
        require_parts(len(training), self.steps, recipe, ranks.count)
        self.inputs = make_inputs(preprocess, recipe, ranks.device)
        self.class_weights = None if class_weights is None else torch.from_numpy(class_weights).to(ranks.device)
        apply_memory_format(model, recipe)
        self.network = ranks.prepare(model)
        with explaining_compile_errors(recipe):
            self.forward: Any = torch.compile(self.network) if recipe.compile else self.network
        optimizer = make_optimizer(model, recipe)
        self.progress = Progress(
            phase=phase,
            model=model,
            optimizer=optimizer,
            schedule=make_schedule(optimizer, recipe, self.steps),
            average=MovingAverage(model, recipe.ema) if recipe.ema else None,
            ranks=ranks,
            history=list(history),
            earlier=len(history),
        )
        self._step_s = math.inf
        """Of the last step."""

    def resume(self) -> bool:
        """Go on from what the keeper has of this phase, if it has anything."""
        kept = self.checkpointer.latest()
        if kept is None or kept["phase"] != self.progress.phase:
            return False
        self.progress.restore(kept)
        return True

    def replan(self, recipe: Recipe) -> None:
        """Go on with the recipe's epochs, of which the same are done."""
        self.recipe = recipe
        schedule = self.progress.schedule
        schedule.lr_lambdas = [lr_factor(recipe, self.steps)] * len(schedule.lr_lambdas)

    def epoch(self) -> None:
        """Every step of this epoch that is not done yet."""
        progress, recipe = self.progress, self.recipe
        number = len(progress.own) + 1
        self.callback.epoch_started(len(progress.history) + 1, self.steps, progress.sums.steps)
        set_train_mode(self.network, recipe)
        batches = self.training.epoch(
            number,
            batch=recipe.batch,
            seed=self.seed,
            augment=recipe.augment,
            device=self.ranks.device,
            start=progress.sums.steps,
        )
        for batch, waited_s in time_waits(batches):
            started = time.perf_counter()
            loss, correct = self.step(batch)
            loss, correct, due, stopping = self.ranks.sum([loss, correct, *self.checkpointer.wish])
            self._check_loss(loss)
            progress.sums.add(loss, correct, batch.size, waited_s, time.perf_counter() - started)
            progress.step += 1
            self.callback.step(loss, batch.size, correct=correct, waited_s=waited_s)
            if due or stopping:
                self.keep()
            if stopping:
                self.checkpointer.stop.end()

    def step(self, batch: Batch) -> tuple[float, float]:
        """Move the weights once; (the batch's loss, how many were right), or this rank's shares of the two."""
        progress, started = self.progress, time.perf_counter()
        progress.optimizer.zero_grad()
        try:
            with (
                explaining_compile_errors(self.recipe),
                explaining_out_of_memory(batch.size, self.recipe.accumulate),
                self._undone(),
                self._at_once(),
            ):
                loss, correct = self._gradients(self.ranks.part(batch), batch.size)
        except RuntimeError as error:
            raise self.ranks.explain(error) from error
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(progress.model.parameters(), self.recipe.clip_norm)
        progress.optimizer.step()
        progress.sums.lr = float(progress.schedule.get_last_lr()[-1])
        progress.schedule.step()
        if progress.average is not None:
            progress.average.update()
        self._step_s = time.perf_counter() - started
        return loss, correct

    def _gradients(self, own: Batch, images: int) -> tuple[float, float]:
        """Add the gradients of this rank's own part of a batch of `images`, in as many parts as the recipe says."""
        recipe, total, correct = self.recipe, 0.0, 0.0
        for rows in own.parts(recipe.accumulate):
            x, targets = self.inputs(rows)
            taught = None if self.teacher is None else self.teacher(x)
            logits = self._logits(self.forward, self._grown(x))
            loss = compute_loss(logits, targets, rows.mixed, taught, recipe, self.class_weights) * (
                len(rows.targets) / images
            )
            # The ranks' gradients are averaged, and a loss is the mean over the whole batch.
            self.ranks.accelerator.backward(loss * self.ranks.count)
            total += loss.item()
            correct += int((logits.argmax(1) == targets).sum())
        return total, correct

    def _grown(self, x: Tensor) -> Tensor:
        """Pictures as large as this epoch has them."""
        if self.recipe.first_size == 1:
            return x
        side = self.recipe.side(x.shape[-1], len(self.progress.own) + 1)
        if side == x.shape[-1]:
            return x
        return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)

    def answer(self, batch: Batch) -> Tensor:
        """As validation asks the network. -> (B, classes)"""
        return self._logits(self.progress.model, self.inputs(batch)[0])

    def _logits(self, network: Any, x: Tensor) -> Tensor:
        """What `network` answers, computed in the recipe's precision, in float32 at least."""
        with autocast(self.recipe, self.ranks.device):
            logits: Tensor = network(x)
        return logits if self.recipe.precision == "float64" else logits.float()

    def validate(self, validation: Batches) -> Epoch:
        """This epoch's figures, with the model in eval mode, in the recipe's precision, on pictures as they are."""
        started = time.perf_counter()
        with self._undone(), self.averaged(), self._at_once():
            loss, accuracy = self._score(validation)
        self.heed()
        self._check_loss(loss)  # the last step may have broken what no training loss shows
        sums = self.progress.sums
        self.progress.sums = Sums()
        return Epoch(
            epoch=len(self.progress.history) + 1,
            train_loss=sums.loss / sums.images,
            train_accuracy=sums.correct / sums.images,
            val_loss=loss,
            val_accuracy=accuracy,
            lr=sums.lr,
            seconds=sums.train_s + time.perf_counter() - started,
            images_per_s=sums.images / sums.train_s,
            loader_share=sums.waited_s / sums.train_s,
        )

    @torch.inference_mode()
    def _score(self, validation: Batches) -> tuple[float, float]:
        """(mean loss, accuracy); of nothing in particular when a signal came meanwhile."""
        model, loss, correct = self.progress.model.eval(), 0.0, 0.0
        self.ranks.share_buffers(model)
        for batch in self.ranks.turns(validation.in_order(self.recipe.part)):
            if batch is not None:
                x, targets = self.inputs(batch)
                logits = self._logits(model, x)
                loss += F.cross_entropy(logits, targets, reduction="sum").item()
                correct += int((logits.argmax(1) == targets).sum())
            if self._asked_to_stop():
                break
        loss, correct = self.ranks.sum([loss, correct])
        return loss / len(validation), correct / len(validation)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the model holds the average of its weights, where one is kept."""
        return nullcontext() if self.progress.average is None else self.progress.average.in_place()

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """What is abandoned inside was never begun: here ends the training, its state saved as it was before."""
        undo = self.progress.undo() if self._abandons else None
        try:
            yield
        except Abandoned:
            assert undo is not None
            undo()
            self.keep()
            self.checkpointer.stop.end()

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Inside, a signal is heeded at once where steps are long, and where no other rank waits for this one."""
        if not self._abandons:
            yield
            return
        with (
            nullcontext() if self.recipe.compile else interruptible_backward(self.progress.model),
            self.checkpointer.stop.at_once(),
        ):
            yield

    @property
    def _abandons(self) -> bool:
        return self.ranks.count == 1 and self._step_s > LONG_S

    def keep(self) -> None:
        """Save the state now; every rank takes part, the first one writes."""
        self.checkpointer.save(self.progress.state() | self.recipe.plan, writes=not self.ranks.number)
        self.ranks.gather(None)  # a rank that ended now would have torchrun end the one that writes

    def heed(self) -> None:
        """End here, with the state saved, when a signal asked to."""
        if self._asked_to_stop():
            self.keep()
            self.checkpointer.stop.end()

    def _asked_to_stop(self) -> bool:
        """Whether a signal came to any rank; all of them must ask at the same time."""
        return self.ranks.sum([self.checkpointer.wish[1]])[0] > 0

    def _check_loss(self, loss: float) -> None:
        """Raise PennyweightError when the loss is no longer a number."""
        if not math.isfinite(loss):
            first = self.progress.phase == "head" and self.recipe.mode == "finetune"
            raise PennyweightError(
                f"the loss became {loss} in epoch {len(self.progress.history) + 1}; "
                f"try a smaller rate: --set {'head_lr' if first else 'lr'}={self.recipe.lr / 10:g}"
            )

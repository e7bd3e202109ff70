"""Trainer: forward and backward pass, optimizer step and validation of a network."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.train.batches import Batches, KnownScores, Teacher, require_parts, time_waits
from pennyweight.train.callbacks import Callback, Epoch
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.compile_errors import explaining_compile_errors
from pennyweight.train.distributed import Ranks
from pennyweight.train.ema import MovingAverage
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.interrupts import Interrupts
from pennyweight.train.loss import compute_loss
from pennyweight.train.optimizer import lr_factor, make_optimizer, make_schedule
from pennyweight.train.out_of_memory import explaining_out_of_memory
from pennyweight.train.phase import Phase
from pennyweight.train.precision import apply_memory_format, autocast, make_inputs, set_train_mode
from pennyweight.train.recipe import Recipe
from pennyweight.train.state import Progress, Sums

__all__ = ["Trainer"]


class Trainer:
    """Model with everything that a step of it needs: batches, loss, optimizer, learning-rate schedule, ranks."""

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
        phase: Phase | None = None,
    ) -> None:
        phase = phase or Phase()
        plan = phase.plan or recipe.epoch_plan
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
            phase=phase.name,
            model=model,
            optimizer=optimizer,
            schedule=make_schedule(optimizer, recipe, self.steps, plan),
            average=MovingAverage(model, recipe.ema) if recipe.ema else None,
            ranks=ranks,
            history=list(phase.history),
            earlier=len(phase.history),
            plan=plan,
        )
        self.interrupts = Interrupts(self.progress, checkpointer, ranks, compiled=recipe.compile)

    def resume(self) -> bool:
        """Restore the newest checkpoint of this phase. Return False where there is none."""
        kept = self.checkpointer.latest()
        if kept is None or kept["phase"] != self.progress.phase:
            return False
        self.progress.restore(kept)
        self.replan(self.progress.plan)
        return True

    def replan(self, plan: EpochPlan) -> None:
        """Continue by another plan, of which the same epochs are done."""
        self.progress.plan = plan
        schedule = self.progress.schedule
        schedule.lr_lambdas = [lr_factor(self.recipe, self.steps, plan)] * len(schedule.lr_lambdas)

    def epoch(self) -> None:
        """Train every step of this epoch that is not done yet."""
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
            loss, correct, due, stopping = self.ranks.sum([loss, correct, *self.interrupts.wish])
            self._check_loss(loss)
            progress.sums.add(loss, correct, batch.size, waited_s, time.perf_counter() - started)
            progress.step += 1
            self.callback.step(loss, batch.size, correct=correct, waited_s=waited_s)
            if stopping:
                self.interrupts.stop()
            elif due:
                self.interrupts.save()

    def step(self, batch: Batch) -> tuple[float, float]:
        """Move the weights once. Return (loss of the batch, correct answers), or this rank's shares of the two."""
        progress, started = self.progress, time.perf_counter()
        progress.optimizer.zero_grad()
        try:
            with (
                explaining_compile_errors(self.recipe),
                explaining_out_of_memory(batch.size, self.recipe.accumulate),
                self.interrupts.undoing(),
                self.interrupts.abandoning(),
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
        self.interrupts.step_s = time.perf_counter() - started
        return loss, correct

    def _gradients(self, own: Batch, images: int) -> tuple[float, float]:
        """Sum the gradients of this rank's share of a batch over its parts (gradient accumulation)."""
        recipe, total, correct = self.recipe, 0.0, 0.0
        for rows in own.parts(recipe.accumulate):
            x, targets = self.inputs(rows)
            taught = None if self.teacher is None else self.teacher(x)
            logits = self._logits(self.forward, self._resize(x))
            loss = compute_loss(logits, targets, rows.mixed, taught, recipe, self.class_weights) * (
                len(rows.targets) / images
            )
            # The ranks' gradients are averaged, and a loss is the mean over the whole batch.
            self.ranks.accelerator.backward(loss * self.ranks.count)
            total += loss.item()
            correct += int((logits.argmax(1) == targets).sum())
        return total, correct

    def _resize(self, x: Tensor) -> Tensor:
        """Resize pictures to this epoch's side (progressive resizing). (B, C, H, W) -> (B, C, h, w)"""
        if self.recipe.first_size == 1:
            return x
        whole = (x.shape[2], x.shape[3])
        sides = self.recipe.sides(whole, len(self.progress.own) + 1, self.progress.plan)
        return x if sides == whole else F.interpolate(x, size=sides, mode="bilinear", antialias=True)

    def answer(self, batch: Batch) -> Tensor:
        """Return the logits of a batch as validation computes them. -> (B, classes)"""
        return self._logits(self.progress.model, self.inputs(batch)[0])

    def _logits(self, network: Any, x: Tensor) -> Tensor:
        """Return the logits, computed in the recipe's precision and given in float32 at least."""
        with autocast(self.recipe, self.ranks.device):
            logits: Tensor = network(x)
        return logits if self.recipe.precision == "float64" else logits.float()

    def validate(self, validation: Batches | KnownScores) -> Epoch:
        """Return this epoch's figures. The model is in eval mode, and pictures are not augmented."""
        started = time.perf_counter()
        with self.interrupts.undoing(), self.averaged(), self.interrupts.abandoning():
            loss, accuracy = self._score(validation)
        self.interrupts.stop_if_asked()
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
    def _score(self, validation: Batches | KnownScores) -> tuple[float, float]:
        """Return (mean loss, accuracy), which mean nothing when a signal came meanwhile."""
        if isinstance(validation, tuple):
            return validation[len(self.progress.history)]
        model, loss, correct = self.progress.model.eval(), 0.0, 0.0
        self.ranks.share_buffers(model)
        for batch in self.ranks.turns(validation.in_order(self.recipe.part)):
            if batch is not None:
                x, targets = self.inputs(batch)
                logits = self._logits(model, x)
                loss += F.cross_entropy(logits, targets, reduction="sum").item()
                correct += int((logits.argmax(1) == targets).sum())
            if self.interrupts.asked():
                break
        loss, correct = self.ranks.sum([loss, correct])
        return loss / len(validation), correct / len(validation)

    def averaged(self) -> AbstractContextManager[None]:
        """Put the moving average of the weights into the model inside, where one is kept."""
        return nullcontext() if self.progress.average is None else self.progress.average.in_place()

    def _check_loss(self, loss: float) -> None:
        """Raise PennyweightError when the loss is not finite."""
        if not math.isfinite(loss):
            first = self.progress.phase == "head" and self.recipe.mode == "finetune"
            raise PennyweightError(
                f"the loss became {loss} in epoch {len(self.progress.history) + 1}; "
                f"try a smaller rate: --set {'head_lr' if first else 'lr'}={self.recipe.lr / 10:g}"
            )

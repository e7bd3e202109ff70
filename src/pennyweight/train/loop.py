"""The training loop, written out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from pennyweight.core.errors import PennyweightError
from pennyweight.data import Augment, Batch, Pictures
from pennyweight.nn import FromPixels
from pennyweight.train.objective import objective
from pennyweight.train.optimizer import make_optimizer, make_schedule
from pennyweight.train.recipe import Recipe

__all__ = ["Epoch", "Watcher", "reproducible", "train"]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A line of metrics.jsonl. Training figures are over the whole epoch, on augmented pictures."""

    epoch: int
    """From 1."""
    train_loss: float
    train_accuracy: float
    val_loss: float
    """Without label smoothing, so it can be compared with evaluation.json's."""
    val_accuracy: float
    lr: float
    """The rate of the epoch's last step."""
    seconds: float
    """Training and validation."""
    images_per_s: float
    """Training alone."""

    def to_dict(self) -> dict[str, Any]:
        """As metrics.jsonl keeps it."""
        return asdict(self)

    def better_than(self, other: Epoch | None) -> bool:
        """More right on validation, or as many with a smaller loss."""
        return other is None or (self.val_accuracy, -self.val_loss) > (other.val_accuracy, -other.val_loss)


class Watcher(Protocol):
    """Is told how training goes."""

    def epoch_started(self, epoch: int, steps: int) -> None: ...
    def step(self, loss: float, images: int) -> None: ...
    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...


def train(
    model: nn.Module,
    *,
    training: Pictures,
    validation: Pictures,
    recipe: Recipe,
    seed: int,
    watcher: Watcher,
    after_epoch: Callable[[Epoch, bool], None],
) -> Epoch:
    """Train `model` in place and return its best epoch on `validation`, the first of equals.

    `after_epoch(epoch, best)` is called while the model holds that epoch's weights; the caller keeps those of
    the best. One seed decides everything: on one machine with one number of threads, equal calls give equal bits.
    Raises PennyweightError when the loss is no longer a number.
    """
    accelerator = Accelerator()
    preprocess = training.preprocess
    from_pixels = FromPixels(preprocess.mean, preprocess.std).to(accelerator.device)
    # Pixels arrive channels last; weights in that order spare a copy at every convolution.
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe, training.steps(recipe.batch))
    model, optimizer = accelerator.prepare(model, optimizer)
    augment = Augment(
        flip=recipe.flip,
        shift=recipe.shift,
        policy=recipe.policy,
        erase=recipe.erase,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
    )
    weights = training.balance.weights if training.balance is not None else None
    class_weights = None if weights is None else torch.from_numpy(weights).to(accelerator.device)
    best: Epoch | None = None

    def inputs(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, targets = (torch.as_tensor(array).to(accelerator.device) for array in batch[:2])
        return from_pixels(pixels), targets

    with reproducible(seed):
        for number in range(1, recipe.epochs + 1):
            started = time.perf_counter()
            watcher.epoch_started(number, training.steps(recipe.batch))
            model.train()
            total_loss, right = 0.0, 0
            for batch in training.epoch(
                number, batch=recipe.batch, seed=seed, augment=augment, device=accelerator.device
            ):
                x, targets = inputs(batch)
                optimizer.zero_grad()
                logits = model(x)
                loss = objective(
                    logits,
                    targets,
                    mixed=batch.mixed,
                    weights=class_weights,
                    label_smoothing=recipe.label_smoothing,
                )
                accelerator.backward(loss)
                optimizer.step()
                rate = schedule.get_last_lr()[0]
                schedule.step()
                _check(loss.item(), number, recipe)
                total_loss += loss.item() * len(targets)
                right += int((logits.argmax(1) == targets).sum())
                watcher.step(loss.item(), len(targets))
            trained = time.perf_counter()
            val_loss, val_accuracy = validate(model, validation, inputs, recipe.batch)
            _check(val_loss, number, recipe)  # the last step may have broken what no training loss shows
            epoch = Epoch(
                epoch=number,
                train_loss=total_loss / training.shown,
                train_accuracy=right / training.shown,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                lr=float(rate),
                seconds=time.perf_counter() - started,
                images_per_s=training.shown / (trained - started),
            )
            is_best = epoch.better_than(best)
            best = epoch if is_best else best
            after_epoch(epoch, is_best)
            watcher.epoch_finished(epoch.to_dict())
    assert best is not None
    return best


def _check(loss: float, epoch: int, recipe: Recipe) -> None:
    """Raise PennyweightError when the loss is no longer a number."""
    if not math.isfinite(loss):
        raise PennyweightError(
            f"the loss became {loss} in epoch {epoch}; try a smaller rate: --set lr={recipe.lr / 10:g}"
        )


@torch.inference_mode()
def validate(
    model: nn.Module,
    pictures: Pictures,
    inputs: Callable[[Batch], tuple[torch.Tensor, torch.Tensor]],
    batch: int,
) -> tuple[float, float]:
    """(mean loss, accuracy) of the model in eval mode on pictures as they are."""
    model.eval()
    loss, right = 0.0, 0
    for x, targets in map(inputs, pictures.in_order(batch)):
        logits = model(x)
        loss += F.cross_entropy(logits, targets, reduction="sum").item()
        right += int((logits.argmax(1) == targets).sum())
    return loss / len(pictures), right / len(pictures)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Inside, torch draws from `seed` and its algorithms are deterministic; outside, all is as before."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)

"""State of a training: everything that changes from step to step, saved to and restored from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from pennyweight.core.errors import InputError
from pennyweight.nn.weights import check_values, require_same_shapes, take_weights
from pennyweight.train.callbacks import Epoch, best_of
from pennyweight.train.distributed import Ranks
from pennyweight.train.ema import MovingAverage
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.reproducible import random_state, set_random_state

__all__ = ["Progress", "Sums"]

RENAMED = {"right": "correct"}
"""Fields of `Sums` in checkpoints of version 0.1.0 -> their names now."""


@dataclass
class Sums:
    """Sums over the finished part of an epoch."""

    steps: int = 0
    images: float = 0.0
    loss: float = 0.0
    correct: float = 0.0
    train_s: float = 0.0
    """Waiting for pictures included."""
    waited_s: float = 0.0
    lr: float = 0.0
    """Learning rate of the last step."""

    def add(self, loss: float, correct: float, images: int, waited_s: float, step_s: float) -> None:
        """Add a step: its mean loss, its correct answers, and its time in seconds."""
        self.steps += 1
        self.images += images
        self.loss += loss * images
        self.correct += correct
        self.waited_s += waited_s
        self.train_s += waited_s + step_s


@dataclass
class Progress:
    """State of a training under way. `model` is bare: not compiled, and not wrapped for distributed training."""

    phase: str
    """head or network: which part is trained."""
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    average: MovingAverage | None
    ranks: Ranks
    history: list[Epoch]
    """Every epoch that is done, those of the phases before included."""
    earlier: int
    """Number of the epochs in `history` that belong to the phases before."""
    plan: EpochPlan
    """Plan of this phase's epochs; `--minutes` may change it on the way."""
    sums: Sums = field(default_factory=Sums)
    step: int = 0
    """Steps done, in all phases."""

    @property
    def best(self) -> Epoch | None:
        """The first best of the epochs that are done."""
        return best_of(self.history)

    @property
    def own(self) -> list[Epoch]:
        """Epochs of this phase."""
        return self.history[self.earlier :]

    def should_stop_early(self, patience: int) -> bool:
        """Return True for early stopping: the last `patience` epochs brought no better one. 0 never stops."""
        best = self.best
        if not patience or best is None:
            return False
        return len(self.history) - max(best.epoch, self.earlier) >= patience

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint. Every rank must ask at the same step: each has its own random numbers."""
        return {
            "phase": self.phase,
            "step": self.step,
            "earlier": self.earlier,
            "sums": asdict(self.sums),
            "history": [epoch.to_dict() for epoch in self.history],
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "average": None if self.average is None else self.average.state_dict(),
            "random": self.ranks.gather(random_state()),
            **self.plan.to_dict(),
        }

    def undo(self) -> Callable[[], None]:
        """Return a function that restores the buffers and random numbers that a step or validation changes."""
        buffers, random = [(buffer, buffer.clone()) for buffer in self.model.buffers()], random_state()

        def undone() -> None:
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)
            set_random_state(random)

        return undone

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from what `state` gave. Another number of ranks draws new random numbers.

        Raises InputError for another network's state, and for weights or an average of them that hold NaN.
        """
        own = self.model.state_dict()
        require_same_shapes(own, state["model"], name="the checkpoint")
        if self.average is not None:
            check_values(state["average"]["mean"], own, name="the moving average of the checkpoint")
        self.step, self.earlier = state["step"], state["earlier"]
        if "stretches" in state:
            self.plan = EpochPlan.from_dict(state)
        sums = {RENAMED.get(name, name): value for name, value in state["sums"].items()}
        self.sums = Sums(**sums)
        self.history[:] = [Epoch(**values) for values in state["history"]]
        take_weights(self.model, state["model"], name="the checkpoint")
        try:
            self.optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise InputError(
                "the checkpoint's optimizer has the form of an earlier version; start again under another --out"
            ) from error
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        self.schedule._last_lr = [group["lr"] for group in self.optimizer.param_groups]
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if len(state["random"]) == self.ranks.count:
            set_random_state(state["random"][self.ranks.number])

"""Callbacks of a training, and the figures of an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["Callback", "Epoch", "NullCallback", "best_of"]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Figures of an epoch: a line of metrics.jsonl. Training figures are those of all its augmented pictures."""

    epoch: int
    """Number of the epoch, from 1."""
    train_loss: float
    train_accuracy: float
    val_loss: float
    """Validation loss without label smoothing, so that it is comparable with that in evaluation.json."""
    val_accuracy: float
    lr: float
    """Learning rate of the epoch's last step."""
    seconds: float
    """Seconds of training and validation."""
    images_per_s: float
    """Throughput of training alone."""
    loader_share: float
    """Share of the training's time that was spent waiting for pictures."""

    def to_dict(self) -> dict[str, Any]:
        """Return the line of metrics.jsonl."""
        return asdict(self)

    def better_than(self, other: Epoch | None) -> bool:
        """Return True for a higher validation accuracy, or an equal one with a smaller loss."""
        return other is None or (self.val_accuracy, -self.val_loss) > (other.val_accuracy, -other.val_loss)


def best_of(epochs: Iterable[Epoch]) -> Epoch | None:
    """Return the first of the best epochs; None where there are none."""
    best: Epoch | None = None
    for epoch in epochs:
        best = epoch if epoch.better_than(best) else best
    return best


class Callback(Protocol):
    """Callback for the beginning and end of each epoch, and each step; a resumed epoch begins after `done` steps."""

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...
    def step(
        self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None
    ) -> None: ...
    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...


class NullCallback(Callback):
    """Callback that ignores every event."""

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...
    def step(
        self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None
    ) -> None: ...
    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...

"""What training says of itself: an epoch's figures, and who is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["Callback", "Epoch", "NullCallback", "best_of"]


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
    loader_share: float
    """Of the training's time, how much was spent waiting for pictures."""

    def to_dict(self) -> dict[str, Any]:
        """As metrics.jsonl keeps it."""
        return asdict(self)

    def better_than(self, other: Epoch | None) -> bool:
        """More right on validation, or as many with a smaller loss."""
        return other is None or (self.val_accuracy, -self.val_loss) > (other.val_accuracy, -other.val_loss)


def best_of(epochs: Iterable[Epoch]) -> Epoch | None:
    """The first best of some epochs; None of none."""
    best: Epoch | None = None
    for epoch in epochs:
        best = epoch if epoch.better_than(best) else best
    return best


class Callback(Protocol):
    """Is told how training goes; a resumed epoch has some of its steps done."""

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...
    def step(
        self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None
    ) -> None: ...
    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...


class NullCallback(Callback):
    """Is told, and says nothing."""

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...
    def step(
        self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None
    ) -> None: ...
    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...

"""A moving average of the weights, which is often better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """What `model`'s weights were on average, recent ones more. Polyak and Juditsky 1992, doi:10.1137/0330046.

    After each step an average loses `1 - decay` of itself to the weights; in the first steps more, so that a short
    training is not judged by where it started. Integer buffers are the model's.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = model.state_dict()  # these tensors are the model's own
        self._mean = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, mean in self._mean.items():
            if mean.is_floating_point():
                mean.lerp_(self._live[name], 1 - decay)
            else:
                mean.copy_(self._live[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model holds the average; outside, its own weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, mean in self._mean.items():
            held = self._live[name].clone()
            self._live[name].copy_(mean)
            mean.copy_(held)

    def state_dict(self) -> dict[str, object]:
        """As a checkpoint keeps it."""
        return {"updates": self.updates, "mean": self._mean}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, object]) -> None:
        """From what `state_dict` gave."""
        updates, mean = state["updates"], state["mean"]
        assert isinstance(updates, int)
        assert isinstance(mean, dict)
        self.updates = updates
        for name, value in mean.items():
            assert isinstance(value, Tensor)
            self._mean[name].copy_(value)

"""Exponential moving average (EMA) of the weights, often more accurate than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Exponential moving average of a model's weights. Polyak and Juditsky 1992, doi:10.1137/0330046.

    An update replaces the share `1 - decay` of the average by the present weights. The first updates replace more:
    a short training does not keep its initial weights. Integer buffers are copied from the model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = model.state_dict()  # these tensors are the model's own
        self._mean = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, mean in self._mean.items():
            if mean.is_floating_point():
                mean.lerp_(self._live[name], 1 - decay)
            else:
                mean.copy_(self._live[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the model inside the context, and its own weights back afterwards."""
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
        """Return the average and its number of updates, for a checkpoint."""
        return {"updates": self.updates, "mean": self._mean}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore a `state` that `state_dict` returned."""
        updates, mean = state["updates"], state["mean"]
        assert isinstance(updates, int)
        assert isinstance(mean, dict)
        self.updates = updates
        for name, value in mean.items():
            assert isinstance(value, Tensor)
            self._mean[name].copy_(value)

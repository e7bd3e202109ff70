"""What the loop is given: batches of an epoch, and perhaps a teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from pennyweight.data import Augment, Batch

__all__ = ["Batches", "Teacher"]

Teacher = Callable[[Tensor], Tensor]
"""From the network's input (B, C, H, W) to logits (B, classes)."""


class Batches(Protocol):
    """What is trained on: `data.Pictures`, or features that were kept."""

    def __len__(self) -> int: ...
    def steps(self, batch: int) -> int: ...
    def epoch(
        self,
        epoch: int,
        *,
        batch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        start: int = 0,
    ) -> Iterator[Batch]: ...
    def in_order(self, batch: int) -> Iterator[Batch]: ...

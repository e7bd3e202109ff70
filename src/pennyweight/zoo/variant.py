"""What a row of a family's table holds, and the check that every network makes of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from pennyweight.core.errors import InputError

__all__ = ["Variant", "check_shape"]

C = TypeVar("C")


@dataclass(frozen=True)
class Variant(Generic[C]):
    """A named network: its Config, and the claims that tests measure (1000 classes, at `input_shape`)."""

    config: C
    params: int
    macs: int
    top1: float | None
    """ImageNet validation accuracy as published, in %: to show and to rank by, always as *published*."""
    paper: str
    input_shape: tuple[int, int, int] = (3, 224, 224)


def check_shape(x: Tensor, in_channels: int) -> None:
    """Raise InputError unless x is (B, in_channels, H, W)."""
    if x.ndim != 4 or x.shape[1] != in_channels:
        raise InputError(
            f"expected a batch of shape (B, {in_channels}, H, W), received {tuple(x.shape)}; "
            f"create the network with in_channels={x.shape[1] if x.ndim == 4 else in_channels} or change the input"
        )

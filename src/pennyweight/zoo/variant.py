"""Row of a family's table of variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Variant"]

C = TypeVar("C")


@dataclass(frozen=True)
class Variant(Generic[C]):
    """Named network: its Config, and claims that tests measure (1000 classes, at `input_shape`)."""

    config: C
    params: int
    macs: int
    top1: float | None
    """Published ImageNet validation accuracy in %, for display and ranking, always labeled as *published*."""
    paper: str
    input_shape: tuple[int, int, int] = (3, 224, 224)
    stem: str = "imagenet"
    num_classes: int = 1000

"""Pictures that look alike, as the report of a run shows them: across its splits, and in its largest clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pennyweight.core.images import Pixels

__all__ = ["Leaks", "Shown"]


class Shown(NamedTuple):
    """Picture of a cluster. `image` is (h, w, 3) uint8; None for a picture that could not be read again."""

    image: Pixels | None
    name: str
    label: str
    split: str


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """Twins of a source and its trivial classifiers; empty where nothing was found."""

    across: int = 0
    """Number of test pictures with a twin in training or validation."""
    pairs: Sequence[tuple[Shown, Shown]] = ()
    """Some of these test pictures, each with its twin."""
    clusters: int = 0
    pictures: int = 0
    """Pictures in all clusters."""
    largest: Sequence[tuple[Sequence[Shown], int]] = field(default=())
    """First pictures of the largest clusters, and the number of pictures of each."""

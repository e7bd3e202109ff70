"""Pictures as the network sees them: framed and, in training, changed; for a run's report and the doctor's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pennyweight.core.images import Pixels

__all__ = ["NetworkInput", "NetworkInputs"]


class NetworkInput(NamedTuple):
    """Picture that enters the network. `image` is (H, W, C) uint8 with one channel (gray) or three (RGB)."""

    image: Pixels
    name: str
    label: str
    """The class; with mixup or CutMix the shares of both classes."""


@dataclass(frozen=True, kw_only=True)
class NetworkInputs:
    """Some pictures of training and validation, as they enter the network."""

    training: Sequence[NetworkInput]
    """Pictures as in the first epoch, with its random changes."""
    validation: Sequence[NetworkInput]
    """Pictures as they are scored."""
    network: str
    """Name of the network, or the run."""
    shape: tuple[int, int, int]
    """(channels, height, width) of the input."""
    first: tuple[int, int, int] | None = None
    """The same of the first epoch, where training enlarges pictures (progressive resizing); else None."""
    view: str = ""
    """Line on the share of the pictures that is cut away, and their scale; empty where their sizes are unknown."""
    reasons: Sequence[str] = ()
    """Lines on the choice of the input, of its frame and of the changes."""
    notes: Sequence[str] = ()
    """Lines on what the training may still change."""
    changes: Sequence[str]
    """Random changes in training, such as "mirrored"; empty where there are none."""

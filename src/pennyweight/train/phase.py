"""Phase of a run's training: the last layer alone, or the whole network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pennyweight.train.callbacks import Epoch
from pennyweight.train.epoch_plan import EpochPlan

__all__ = ["Phase", "Replan"]

Replan = Callable[[EpochPlan, int], EpochPlan]
"""Function from the plan and the epochs done to the plan of the rest."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Phase of a training, with the epochs before it and the plan of its own."""

    name: str = "network"
    """head or network: the part that is trained."""
    history: Sequence[Epoch] = ()
    """Epochs of the phases before this one."""
    plan: EpochPlan | None = None
    """Plan of the epochs; None for as many as the recipe has."""
    replan: Replan | None = None
    """Called after every epoch; None where the plan stays."""

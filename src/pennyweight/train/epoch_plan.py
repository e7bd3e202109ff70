"""Plan of a training's epochs, which `--minutes` fits to a busier or quieter machine while the training runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError

__all__ = ["EpochPlan", "Stretch"]


class Stretch(NamedTuple):
    """First epochs of a training, whose schedule was that of another number of epochs."""

    until: int
    """Epochs done when the rest was re-planned."""
    epochs: int
    """Number of epochs that were planned until then."""


@dataclass(frozen=True)
class EpochPlan:
    """Number of epochs, and the plans before it. Raises InputError for stretches that contradict each other."""

    epochs: int
    stretches: tuple[Stretch, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stretches", tuple(Stretch(*row) for row in self.stretches))  # JSON has lists
        ends = [0, *(stretch.until for stretch in self.stretches), self.epochs]
        ordered = all(one < two for one, two in pairwise(ends)) and all(s.until < s.epochs for s in self.stretches)
        if self.stretches and not ordered:
            rule = "rows of [until, epochs], in order, each until before both"
            raise InputError(f"recipe field 'stretches' must be {rule}, not {self.stretches}")

    @property
    def planned(self) -> int:
        """Epochs of the first plan, which the learning-rate schedule is drawn for."""
        return self.stretches[0].epochs if self.stretches else self.epochs

    def position(self, done: float, unit: int = 1) -> float:
        """Return the place in the first plan after `done` epochs, or steps where an epoch has `unit` steps.

        The rest of the first plan is spread over the epochs that a later plan has left.
        """
        if not self.stretches:
            return done
        began, stood, end = 0, 0.0, self.planned * unit
        for until, epochs in self.stretches:
            if done <= until * unit:
                return stood + (done - began) * (end - stood) / (epochs * unit - began)
            stood += (until * unit - began) * (end - stood) / (epochs * unit - began)
            began = until * unit
        return stood + (done - began) * (end - stood) / (self.epochs * unit - began)

    def stretched(self, epochs: int, *, after: int) -> EpochPlan:
        """Return the plan that ends after `epochs` in all, re-planned after epoch `after`."""
        earlier = tuple(stretch for stretch in self.stretches if stretch.until < after)
        until_now = next((stretch.epochs for stretch in self.stretches if stretch.until >= after), self.epochs)
        return replace(self, epochs=epochs, stretches=(*earlier, Stretch(after, until_now)))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as checkpoints and run.json keep them."""
        return {"epochs": self.epochs, "stretches": [list(stretch) for stretch in self.stretches]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochPlan:
        """Return the plan that a checkpoint, or the recipe in run.json, holds among other fields."""
        return cls(values["epochs"], tuple(values.get("stretches", ())))

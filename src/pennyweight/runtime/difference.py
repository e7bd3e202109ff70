"""Difference of two engines on the same pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "Difference"]

TOLERANCE = 1e-4
"""Largest difference of a probability between engines that count as equal."""


class Difference(NamedTuple):
    """Difference of an engine from a reference."""

    pictures: int
    same_top1: int
    """Pictures with the same most probable class."""
    probability: float
    """Largest difference of a probability."""
    lead: float
    """Largest lead of the reference's class over the one that the engine prefers, by the reference's probabilities."""

    @classmethod
    def of(cls, reference: NDArray[np.float32], other: NDArray[np.float32]) -> Difference:
        """Compare probabilities, both (N, classes)."""
        best, other_best = reference.argmax(axis=1), other.argmax(axis=1)
        lead = reference.max(axis=1) - reference[np.arange(len(reference)), other_best]
        largest = float(np.nan_to_num(np.abs(reference - other), nan=np.inf).max())
        return cls(len(reference), int((best == other_best).sum()), largest, float(lead.max()))

    @property
    def is_small(self) -> bool:
        """True if probabilities are within TOLERANCE, and top-1 classes differ only where two are that close."""
        return self.probability <= TOLERANCE and self.lead <= TOLERANCE

    def __str__(self) -> str:
        return f"{self.same_top1} of {self.pictures} top-1 the same, probabilities within {self.probability:.1e}"

"""Answers of a classifier: a prediction for each picture, or the reason that there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Failure", "Prediction"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Answer of a classifier for one picture."""

    source: str
    """The path that was given; for pictures without one, which in the list it was."""
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The likeliest labels with their probabilities, likeliest first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A picture without an answer, and the reason in one line."""

    source: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

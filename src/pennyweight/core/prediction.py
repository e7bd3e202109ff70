"""Answers of a classifier: a prediction for each picture, or the reason that there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pennyweight.core.figures import share
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.text import as_utf8

__all__ = ["Failure", "Prediction", "row_of"]

SHOWN = 5
"""Labels that the description of a prediction names."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Prediction(Summary):
    """Answer of a classifier for one picture."""

    source: str
    """Path of the picture; for a picture without a path, its place in the list."""
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """Most probable labels with their probabilities, in descending order."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "source", self.source
        for label, probability in self.top[:SHOWN]:
            yield label, share(probability)
        if (more := len(self.top) - SHOWN) > 0:
            yield "", f"and {more:,} more"


@dataclass(frozen=True, kw_only=True, repr=False)
class Failure(Summary):
    """Picture without an answer, and the reason in one line."""

    source: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "source", self.source
        yield "error", self.error


def row_of(answer: Prediction | Failure) -> dict[str, Any]:
    """Return an answer as a row of a table: source, label, probability, labels, probabilities, error.

    The lists hold the most probable labels. A Prediction has no error; a Failure has source and error alone.
    """
    if isinstance(answer, Failure):
        empty = dict.fromkeys(("label", "probability", "labels", "probabilities"))
        return {"source": as_utf8(answer.source), **empty, "error": as_utf8(answer.error)}
    return {
        "source": as_utf8(answer.source),
        "label": as_utf8(answer.label),
        "probability": answer.probability,
        "labels": [as_utf8(label) for label, _ in answer.top],
        "probabilities": [probability for _, probability in answer.top],
        "error": None,
    }

"""Answers of a classifier: a prediction for each picture, or the reason that there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pennyweight.core.figures import fine_share, share
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
    typical: float | None = None
    """Share of held-out pictures that are at least as unlike training as this one, which is small for a picture that
    shows something else; None for a network whose training was not kept."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "source", self.source
        for label, probability in self.top[:SHOWN]:
            yield label, share(probability)
        if (more := len(self.top) - SHOWN) > 0:
            yield "", f"and {more:,} more"
        if self.typical is not None:
            yield "typical", fine_share(self.typical)


@dataclass(frozen=True, kw_only=True, repr=False)
class Failure(Summary):
    """Picture without an answer, and the reason in one line."""

    source: str
    error: str
    typical: float | None = None
    """`typical` of a picture that was read, and refused as a stranger; None for every other picture."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them; `typical` is one of them for a refused picture alone."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def _facts(self) -> Facts:
        yield "source", self.source
        yield "error", self.error


def row_of(answer: Prediction | Failure) -> dict[str, Any]:
    """Return an answer as a row of a table: source, label, probability, labels, probabilities, typical, error.

    The lists hold the most probable labels. A Prediction has no error; a Failure has source and error, and typical if
    it was refused.
    """
    if isinstance(answer, Failure):
        empty = dict.fromkeys(("label", "probability", "labels", "probabilities"))
        return {
            "source": as_utf8(answer.source),
            **empty,
            "typical": answer.typical,
            "error": as_utf8(answer.error),
        }
    return {
        "source": as_utf8(answer.source),
        "label": as_utf8(answer.label),
        "probability": answer.probability,
        "labels": [as_utf8(label) for label, _ in answer.top],
        "probabilities": [probability for _, probability in answer.top],
        "typical": answer.typical,
        "error": None,
    }

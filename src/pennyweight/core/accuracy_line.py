"""Line about the accuracy of a network, on all pictures and on those without a twin in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennyweight.core.figures import number, several, share

__all__ = ["accuracy_line", "as_of", "without_twins"]


def accuracy_line(evaluation: Mapping[str, Any], pictures: str = "pictures") -> str:
    """Return the accuracy with its interval, and that without twins beside it where some pictures have one.

    Args:
        evaluation: Content of evaluation.json.
        pictures: Name of the pictures.
    """
    low, high = evaluation["accuracy_interval"]
    whole = (
        f"{share(evaluation['accuracy'])} of {number(evaluation['images'])} {pictures} "
        f"(95% interval {share(low)} to {share(high)}{as_of(evaluation)})"
    )
    rest = evaluation.get("without_twins")
    return whole if rest is None or rest["images"] == evaluation["images"] else f"{whole}; {without_twins(rest)}"


def as_of(evaluation: Mapping[str, Any]) -> str:
    """Return the number of independent pictures that the interval is for, as text; empty where no twins are scored.

    Args:
        evaluation: Content of evaluation.json, or of a bundle's scores.
    """
    count = evaluation.get("effective_images")
    return f", as of {several(round(count), 'picture')} without twins" if count and count < evaluation["images"] else ""


def without_twins(rest: Mapping[str, Any]) -> str:
    """Return the accuracy on the pictures without a twin in training, of `without_twins` in evaluation.json."""
    if not rest["images"]:
        return "each of them has a twin in training"
    low, high = rest["accuracy_interval"]
    return (
        f"{share(rest['accuracy'])} of the {number(rest['images'])} without a twin in training "
        f"({share(low)} to {share(high)})"
    )

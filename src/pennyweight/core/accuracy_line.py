"""Line about the accuracy of a network, on all pictures and on those without a twin in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennyweight.core.figures import number, share

__all__ = ["accuracy_line", "without_twins"]


def accuracy_line(evaluation: Mapping[str, Any], pictures: str = "pictures") -> str:
    """Return the accuracy with its interval, and that without twins beside it where some pictures have one.

    Args:
        evaluation: Content of evaluation.json.
        pictures: Name of the pictures.
    """
    low, high = evaluation["accuracy_interval"]
    moments = evaluation.get("moments") or evaluation["images"]
    twins = f", as of {number(moments)} without twins" if moments < evaluation["images"] else ""
    whole = (
        f"{share(evaluation['accuracy'])} of {number(evaluation['images'])} {pictures} "
        f"(95% interval {share(low)} to {share(high)}{twins})"
    )
    rest = evaluation.get("without_twins")
    return whole if rest is None or rest["images"] == evaluation["images"] else f"{whole}; {without_twins(rest)}"


def without_twins(rest: Mapping[str, Any]) -> str:
    """Return the accuracy on the pictures without a twin in training, of `without_twins` in evaluation.json."""
    if not rest["images"]:
        return "each of them has a twin in training"
    low, high = rest["accuracy_interval"]
    return (
        f"{share(rest['accuracy'])} of the {number(rest['images'])} without a twin in training "
        f"({share(low)} to {share(high)})"
    )

"""Line about the accuracy of a network, on all pictures and on those without a twin in training or validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.core.figures import number, several, share

__all__ = [
    "accuracy_line",
    "as_groups",
    "in_folds",
    "independent_pictures",
    "predicted",
    "unknown_twins",
    "without_twins",
]


def accuracy_line(evaluation: Mapping[str, Any], pictures: str = "pictures") -> str:
    """Return the accuracy with its interval, and the accuracy without twins if some pictures have a twin.

    Args:
        evaluation: Content of evaluation.json.
        pictures: Name of the pictures.
    """
    low, high = evaluation["accuracy_interval"]
    alike, folds = independent_pictures(evaluation), evaluation.get("folds")
    expected = evaluation.get("predicted_accuracy")
    told = [
        f"95% interval {share(low)} to {share(high)}",
        in_folds(folds) if folds else "",
        "" if expected is None else predicted(expected),
        alike,
        as_groups(evaluation["group_interval"]) if evaluation.get("group_interval") else "",
    ]
    details = "; ".join(filter(None, told))
    whole = f"{share(evaluation['accuracy'])} of {number(evaluation['images'])} {pictures} ({details})"
    rest = evaluation.get("without_twins")
    if rest is None or rest["images"] == evaluation["images"]:
        return whole
    return f"{whole}; {without_twins(rest, folded=bool(folds))}"


def as_groups(interval: Sequence[float]) -> str:
    """Return the interval that takes a group's pictures to be right or wrong together, in words."""
    low, high = interval
    return f"{share(low)} to {share(high)} if each group counts as one picture"


def in_folds(folds: int) -> str:
    """Return how pictures were scored in folds, in words."""
    return f"{folds} folds, every picture once"


def predicted(accuracy: float) -> str:
    """Return the predicted accuracy of the network that learned from all pictures, in words."""
    return f"{share(accuracy)} predicted for the kept network"


def independent_pictures(evaluation: Mapping[str, Any]) -> str:
    """Return the number of independent pictures that the interval is for, as text; empty where no twins are scored.

    Args:
        evaluation: Content of evaluation.json, or of a bundle's scores.
    """
    count = evaluation.get("effective_images")
    if not count or count >= evaluation["images"]:
        return ""
    return f"twins counted as one: about {several(round(count), 'independent picture')}"


def unknown_twins(evaluation: Mapping[str, Any]) -> str:
    """Return the number of scored pictures whose twins cannot be told, as text; empty where there are none.

    Args:
        evaluation: Content of evaluation.json, or of a bundle's scores.
    """
    count = evaluation.get("unknown_twins")
    if not count:
        return ""
    return (
        f"unknown for {number(count)} of {number(evaluation['images'])} pictures, which look like too many others or "
        "have too few shapes; they count as pictures without twins"
    )


def without_twins(rest: Mapping[str, Any], *, folded: bool = False) -> str:
    """Return the accuracy on the pictures without a twin in training or validation, or in another fold.

    Args:
        rest: `without_twins` of evaluation.json.
        folded: True for pictures that were scored in folds.
    """
    where = "another fold" if folded else "training or validation"
    if not rest["images"]:
        return f"each of them has a twin in {where}"
    low, high = rest["accuracy_interval"]
    return (
        f"{share(rest['accuracy'])} of the {number(rest['images'])} without a twin in {where} "
        f"({share(low)} to {share(high)})"
    )

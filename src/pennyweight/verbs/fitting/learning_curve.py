"""Learning curve of few pictures: accuracy with a quarter, a half and all of them, and what more would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.figures import number, share
from pennyweight.data.intervals import effective_count, share_interval

__all__ = ["curve_of", "parts_of"]

PARTS = 4
LEAST = 2
"""Fewest pictures of each class in a part that teaches."""
FADING = 0.5
"""Gain of a doubling of the pictures for each point that the doubling before gained: docs/measured/few-pictures.md."""
Z = 1.96
WIDER = 2.0
"""Widths of the interval for one of the compared answers alone: a network that learns from other pictures differs."""
LITTLE = 0.02
"""Gain below which more pictures hardly help."""


def parts_of(samples: Sequence[data.Sample], *, seed: int, clusters: Mapping[str, str]) -> list[NDArray[np.bool_]]:
    """Return the pictures of a quarter and of a half of all, the first within the second, (N,) each.

    Units stay whole. A part in which a class has fewer than LEAST pictures is left out.
    """
    try:
        quarters = data.assign_folds(samples, PARTS, seed=-1 - seed, clusters=clusters)
    except SourceError:
        return []
    labels = np.array([sample.label for sample in samples])
    parts = [quarters < count for count in (1, 2)]
    classes = np.unique(labels)
    return [part for part in parts if min((labels[part] == label).sum() for label in classes) >= LEAST]


def curve_of(
    parts: Sequence[tuple[int, NDArray[np.bool_]]],
    moments: NDArray[np.int64] | None,
    targets: NDArray[np.int64],
    labels: Sequence[str],
) -> dict[str, Any] | None:
    """Return the learning curve as run.json keeps it; None for a single point.

    Args:
        parts: Number of pictures that taught, and the pictures that were answered correctly, (N,) bool; all come last.
        moments: Number of the moment that each picture shows, (N,); None where unknown.
        targets: Classes of the pictures, (N,).
        labels: Names of the classes.

    Returns:
        `points`, each with `pictures`, `accuracy` and `accuracy_interval`, and `lines` of text.
    """
    if len(parts) < 2:
        return None
    points = [
        {
            "pictures": count,
            "accuracy": float(correct.mean()),
            "accuracy_interval": list(share_interval(correct, moments, folded=True)),
        }
        for count, correct in parts
    ]
    lines = [_prospect(parts, moments), _least_recognized(parts[-1][1], moments, targets, labels)]
    return {"points": points, "lines": [line for line in lines if line]}


def _prospect(parts: Sequence[tuple[int, NDArray[np.bool_]]], moments: NDArray[np.int64] | None) -> str:
    """Return a sentence on what twice as many pictures would bring, with its 95% interval.

    Every doubling gains FADING times what the one before it gained. The interval is WIDER times that of the difference
    between the first and the last part, whose answers to the same pictures are compared (Agresti and Min 2005,
    doi:10.1002/sim.1781, which is not zero where no answer differs). Twins count as one picture.
    """
    (few, before), (count, after) = parts[0], parts[-1]
    was, now = float(before.mean()), float(after.mean())
    shown = f"{number(few)} of the {number(count)} pictures give {share(was)}, all of them {share(now)}"
    if now < was:
        return f"{shown}: what twice as many would bring cannot be told"
    trials = len(after) if moments is None else effective_count(moments)
    gained, lost = (trials * float(differing.mean()) + 0.5 for differing in (after & ~before, before & ~after))
    change = (gained - lost) / (trials + 2)
    deviation = (((gained + lost) / (trials + 2) - change**2) / (trials + 2)) ** 0.5
    doublings = len(parts) - 1
    factor = FADING**doublings / sum(FADING**step for step in range(doublings))
    gain, half = factor * (now - was), WIDER * Z * factor * deviation
    low, middle, high = (min(max(each, 0.0), 1 - now) for each in (gain - half, gain, gain + half))
    if high < LITTLE:
        return f"{shown}: twice as many would bring less than {100 * LITTLE:.0f} points"
    return f"{shown}: twice as many would bring about {100 * middle:.1f} points ({100 * low:.1f} to {100 * high:.1f})"


def _least_recognized(
    correct: NDArray[np.bool_], moments: NDArray[np.int64] | None, targets: NDArray[np.int64], labels: Sequence[str]
) -> str:
    """Return a sentence on the class of the lowest recall; empty if its interval reaches that of the other classes."""
    recalls = {label: float(correct[targets == label].mean()) for label in np.unique(targets).tolist()}
    lowest = min(recalls, key=lambda label: recalls[label])
    own = targets == lowest
    if own.all():
        return ""
    (_, high), (low, _) = (
        share_interval(correct[which], None if moments is None else moments[which], folded=True)
        for which in (own, ~own)
    )
    if high >= low:
        return ""
    others = float(correct[~own].mean())
    return (
        f"class '{labels[lowest]}' is recognized least, {share(recalls[lowest])} of its pictures and {share(others)} "
        "of the others: add pictures of it first"
    )

"""Trials of networks: answers in folds to the same pictures, costs, and the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.figures import number, share
from pennyweight.core.frame import Size, show_size
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL
from pennyweight.verbs.fitting.size_trial import more_correct, outside_of

__all__ = ["NetworkTrial", "cheapest_alike", "label_of", "network_lines", "pick_network"]

MARGIN = 0.02
"""Largest loss of accuracy with which a cheaper network is as good."""
CONFIDENT = 1.645
"""Standard errors of a one-sided 95% bound."""
ROUNDING = 1e-9
"""A single picture that is lost is exactly one standard error."""


class NetworkTrial(NamedTuple):
    """Answers of heads on the features of a network with its weights, and what the network costs."""

    network: str
    weights: str
    """Tag, or file, as `--weights` takes it."""
    size: Size
    correct: NDArray[np.bool_]
    """(N,): True for a picture that was answered correctly by a head that had not seen it."""
    interval: tuple[float, float]
    """95% interval of the share that is correct."""
    params: int
    macs: int
    picture_ms: float
    """Milliseconds of a picture's features, reading included."""
    outside: tuple[NDArray[np.bool_] | None, ...] = ()
    """For each fold of the score, the answers that choose for it; see TrialAnswers."""

    @property
    def accuracy(self) -> float:
        """Share of the pictures that was answered correctly."""
        return float(self.correct.mean())

    def row(self, *, kept: bool, folds: Sequence[int]) -> dict[str, Any]:
        """Return the trial as run.json keeps it; `folds` are those that it answers in place of the kept network."""
        return {
            "network": self.network,
            "weights": self.weights,
            "input": list(self.size) if isinstance(self.size, tuple) else self.size,
            "pictures": len(self.correct),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.interval),
            "params": self.params,
            "macs": self.macs,
            "picture_ms": round(self.picture_ms, 2),
            "kept": kept,
            "folds": list(folds),
        }


def pick_network(trials: Sequence[NetworkTrial], fold: int | None = None, usual: str = LARGE_MODEL) -> NetworkTrial:
    """Return the network that suits: the usual one, unless another is clearly better, or surely as good and cheaper.

    Another is clearly better if it answers more pictures correctly by more than luck. A cheaper one is as good if, with
    95% confidence, it loses at most MARGIN. Cheaper is what has fewer MACs, which are the same on every machine.

    Args:
        trials: Trials on the same N pictures.
        fold: Fold of the score, whose pictures neither count nor teach; None for all pictures. Without enough pictures
            outside, the first trial stays.
        usual: Network that stays in doubt; without a trial of it, the most accurate one stays.
    """
    counted = outside_of(trials, fold)
    if counted is None:
        return trials[0]
    order = sorted(range(len(trials)), key=lambda place: (trials[place].macs, trials[place].params, place))

    def most_accurate(places: Sequence[int]) -> int:
        return max(places, key=lambda place: counted[place].mean())  # the first of equals is the cheapest

    start = next((place for place in order if trials[place].network == usual), most_accurate(order))
    clearly = [place for place in order if more_correct(counted[start], counted[place])]
    if clearly:
        return trials[most_accurate(clearly)]
    cheaper = [place for place in order if trials[place].macs < trials[start].macs]
    return trials[next((place for place in cheaper if _as_good(counted[start], counted[place])), start)]


def cheapest_alike(trials: Sequence[NetworkTrial], kept: NetworkTrial) -> NetworkTrial | None:
    """Return the cheapest network within one standard error of the kept one, if it is cheaper than that; else None."""
    for each in sorted(trials, key=lambda trial: trial.macs):
        lost = kept.correct.astype(np.float64) - each.correct
        if each.macs < kept.macs and lost.mean() <= lost.std(ddof=1) / np.sqrt(len(lost)) + ROUNDING:
            return each
    return None


def _as_good(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Return whether `other` surely loses at most MARGIN against `one`, (N,) each; equal answers are no proof."""
    lost = one.astype(np.float64) - other
    error = np.sqrt(np.square(lost - lost.mean()).sum() + 1) / len(lost)  # one more picture may differ
    return bool(lost.mean() + CONFIDENT * error <= MARGIN)


def label_of(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of a row's network, with its weights where other rows have the same network."""
    alone = [each["network"] for each in rows].count(row["network"]) == 1
    return row["network"] if alone else f"{row['network']} ({Path(row['weights']).name})"


def network_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the trials as lines of a table for a terminal, the most accurate first; nothing without any."""
    if not rows:
        return []
    head = ["network", "input", f"accuracy on {rows[0]['pictures']} pictures in folds", "parameters", "MACs", "ms"]
    cells = [head] + [
        [
            label_of(row, rows),
            show_size(row["input"] if isinstance(row["input"], int) else tuple(row["input"])),
            f"{share(row['accuracy'])} ({' to '.join(map(share, row['accuracy_interval']))})",
            number(row["params"]),
            number(row["macs"]),
            f"{row['picture_ms']:.1f}",
        ]
        for row in sorted(rows, key=lambda row: -row["accuracy"])
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]

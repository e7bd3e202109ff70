"""Worst mistakes of a classifier: the wrong predictions with the highest confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["worst_mistakes"]


def worst_mistakes(probabilities: NDArray[np.float32], targets: NDArray[np.int64], most: int = 24) -> list[int]:
    """List the wrong predictions, the most confident first. (N, classes), (N,) -> at most `most` indices of 0..N-1."""
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != targets)
    surest = np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")
    return [int(number) for number in wrong[surest][:most]]

"""Choose pictures to label: uncertain ones that stand for many others, and that no labeled picture stands for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_spread", "uncertainty"]


def uncertainty(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of probabilities as a share of the highest one. (N, classes) -> (N,), 0 to 1."""
    classes = probabilities.shape[1]
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    found: NDArray[np.float64] = -(probabilities * logs).sum(axis=1) / np.log(classes)
    return found


def choose_spread(
    features: NDArray[np.float32],
    labeled: NDArray[np.float32],
    weights: NDArray[np.float64],
    count: int,
    power: float = 1.0,
) -> NDArray[np.int64]:
    """Choose the pictures whose labels stand for most others (facility location, greedily).

    A picture is represented by the most similar one that has a label, or is chosen, as far as the two are similar. Each
    choice adds most to the sum over all pictures, weighted by their uncertainty. Doubtful regions with many pictures
    come first, and two similar pictures are not chosen both.

    Args:
        features: (N, F) of the pictures to choose from.
        labeled: (M, F) of the pictures with labels.
        weights: (N,) uncertainty of each picture.
        count: Number of pictures to choose, at most N.
        power: Exponent of the similarity: with a higher one, a picture stands for nearer ones alone.

    Returns:
        Numbers of the chosen pictures, (count,), the most useful first.
    """
    mean = np.concatenate([features, labeled]).mean(axis=0)
    unit, known = _unit(features - mean), _unit(labeled - mean)
    similarity = np.maximum(unit @ unit.T, 0) ** power
    represented = np.zeros(len(unit), np.float32)
    if len(known):
        represented = np.maximum((unit @ known.T).max(axis=1), 0) ** power
    scale = weights.astype(np.float32)
    chosen: list[int] = []
    free = np.ones(len(unit), np.bool_)
    for _ in range(count):
        gain = scale @ np.maximum(similarity - represented[:, None], 0)
        gain[~free] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        free[best] = False
        represented = np.maximum(represented, similarity[:, best])
    return np.array(chosen, np.int64)


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = values / np.maximum(
        np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny
    )
    return found

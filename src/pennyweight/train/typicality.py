"""Fit the typicality of pictures on training features, and calibrate it on pictures that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.typicality import TINY, Training

__all__ = ["DIRECTIONS", "LEAST_HELD_OUT", "MOST_TAUGHT", "LeftOut", "fit_training", "strangeness_left_out"]

DIRECTIONS = 32
"""Principal directions of the training features; 64 tell strangers no better."""
MOST_BYTES = 160_000
"""Bytes of directions that a bundle may hold."""
MOST_TAUGHT = 2000
"""Training pictures whose features are enough for the directions."""
LEAST_HELD_OUT = 19
"""Held-out pictures from which on a share of 5% can be told."""
LEAST_FAR = 1e-3
"""Least mean squared distance of the training pictures that the scale divides by. Features of length 1 that lie closer
differ by little more than rounding errors, and then the logits decide."""
PICTURES_A_DIRECTION = 4
"""Fewer pictures a direction would leave no distance of the training pictures to measure the scale by."""

Rows = NDArray[np.float32]


class LeftOut(NamedTuple):
    """Pictures that a head has not seen, and what it answers."""

    pictures: NDArray[np.bool_]
    """(N,): True for n of all pictures."""
    logits: Rows
    """(n, classes) of these."""


def fit_training(features: Rows, logits: Rows) -> Training:
    """Fit mean, principal directions and scale: probabilistic principal components (Tipping and Bishop 1999).

    Along a direction with variance v, where all others have variance s, a distance counts s / v.

    Args:
        features: (N, F) inputs of the last layer for training pictures.
        logits: (N, classes) of the same pictures, which give the scale.

    Returns:
        The picture of the training features.
    """
    values = features.astype(np.float64)
    values /= np.maximum(np.sqrt(np.square(values).sum(axis=1, keepdims=True)), TINY)
    mean = values.mean(axis=0)
    centered = values - mean
    count, width = centered.shape
    wanted = max(1, min(DIRECTIONS, count // PICTURES_A_DIRECTION, width // 2, MOST_BYTES // (2 * width)))
    directions, variances = _principal(centered, wanted)
    rest = (np.square(centered).mean(axis=0).sum() - variances.sum()) / max(width - len(variances), 1)
    weights = np.sqrt(1 - np.minimum(max(float(rest), 0.0) / variances, 1))
    directions = (weights[:, None] * directions).astype(np.float16)
    training = Training(mean.astype(np.float32), directions, 1.0)
    alone = np.zeros((count, 1), np.float32)
    far = float(training.strangeness(features, alone).mean())
    top = float(np.abs(logits.max(axis=1)).mean())
    return Training(training.mean, directions, top / max(far, LEAST_FAR))


def strangeness_left_out(features: Rows, logits: Rows, left_out: Sequence[LeftOut]) -> Rows:
    """Return the strangeness of pictures by the directions and the scale of all others.

    Args:
        features: (N, F) of a trunk that is the same for all.
        logits: (N, classes) of each picture by a head that has not seen it, which give the scale.
        left_out: Pictures that are left out together.

    Returns:
        (n,) of the pictures in the order of `left_out`.
    """
    found = []
    for own, answers in left_out:
        found.append(fit_training(features[~own], logits[~own]).strangeness(features[own], answers))
    return np.concatenate(found)


def _principal(centered: NDArray[np.float64], wanted: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first principal directions (K, F) and the variance along each (K,), by the smaller of two products.

    A direction without variance is left out.
    """
    from threadpoolctl import threadpool_limits

    count, width = centered.shape
    with threadpool_limits(1):  # so that the bits do not follow the threads
        values, vectors = np.linalg.eigh(centered.T @ centered if width <= count else centered @ centered.T)
        kept = np.argsort(-values, kind="stable")[:wanted]
        kept = kept[values[kept] > max(float(values.max()) * 1e-9, TINY)]
        if width <= count:
            found: NDArray[np.float64] = vectors[:, kept].T
        else:
            found = (vectors[:, kept].T @ centered) / np.sqrt(values[kept])[:, None]
    return found, values[kept] / count

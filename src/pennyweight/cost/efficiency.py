"""How far from the roofline operators of a kind end, as a smooth function of their sizes: Gaussian-process regression.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, Sec. 2.7 (with a linear mean). What is learned is
the logarithm of time over roofline; length and noise are chosen by the error of leaving one out, Sec. 5.4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slowness"]

Array = NDArray[np.float64]

LENGTHS = (0.7, 1.0, 1.5, 2.2, 3.2, 4.5, 7.0)
NOISES = (0.02, 0.05, 0.1, 0.2, 0.4)
RIDGE = 1e-2


@dataclass(frozen=True)
class Slowness:
    """log(time / roofline) by features, learned from measurements; `error` is that of leaving one out (median)."""

    points: Array
    centre: Array
    scale: Array
    slope: Array
    weights: Array
    length: float
    error: float

    @classmethod
    def learn(cls, features: Sequence[Sequence[float]], slowness: Sequence[float]) -> Slowness:
        """From one row of features and log(time / roofline) for each measurement."""
        rows, values = np.asarray(features, dtype=float), np.asarray(slowness, dtype=float)
        centre, scale = rows.mean(0), rows.std(0)
        scale[scale < 1e-9] = 1.0
        points = (rows - centre) / scale
        slope = _ridge(points, values)
        rest = values - _linear(points, slope)
        distances = _squared(points, points)
        spread = max(float(rest.var()), 1e-6)
        best: tuple[float, float, Array, float] | None = None
        for length, noise in product(LENGTHS, NOISES):
            inverse = np.linalg.inv(np.exp(-distances / (2 * length**2)) + noise * np.eye(len(rest)))
            weights = inverse @ rest
            left_out = weights / np.diag(inverse)
            # Squared error for a choice without luck; a few stray measurements must not decide.
            score = float(np.minimum(left_out**2, 9 * spread).mean())
            if best is None or score < best[0]:
                best = score, length, weights, float(np.median(np.abs(left_out)))
        assert best is not None
        _, length, weights, error = best
        return cls(points, centre, scale, slope, weights, length, error)

    def __call__(self, features: Sequence[float]) -> float:
        """log(time / roofline) there."""
        point = ((np.asarray(features, dtype=float) - self.centre) / self.scale)[None]
        near = np.exp(-_squared(point, self.points) / (2 * self.length**2))
        return float((_linear(point, self.slope) + near @ self.weights)[0])

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Slowness:
        """From what `to_dict` gave."""
        kept: dict[str, Any] = {n: np.asarray(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**kept)


def _squared(left: Array, right: Array) -> Array:
    return np.asarray(((left[:, None] - right[None]) ** 2).sum(-1))


def _with_one(points: Array) -> Array:
    return np.hstack([points, np.ones((len(points), 1))])


def _ridge(points: Array, values: Array) -> Array:
    rows = _with_one(points)
    return np.asarray(np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ values))


def _linear(points: Array, slope: Array) -> Array:
    return np.asarray(_with_one(points) @ slope)

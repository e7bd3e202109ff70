"""Time of a kind of operator as a smooth function of its sizes: Gaussian-process regression.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, Sec. 2.7 (with a linear mean). The regression
predicts the logarithm of the time. The noise and each feature's length scale (Sec. 5.1) minimize the leave-one-out
error, Sec. 5.4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OperatorTime"]

Array = NDArray[np.float64]

LENGTHS = (0.7, 1.0, 1.5, 2.2, 3.2, 4.5, 7.0)
NOISES = (0.02, 0.05, 0.1, 0.2, 0.4)
FACTORS = (0.5, 0.7, 1.4, 2.0, 4.0)
SWEEPS = 3
LEAST, MOST = 0.5, 30.0
"""Bounds of a feature's length scale, in standard deviations.

Below the lower bound each measurement stands alone; above the upper bound the feature does not matter.
"""
RIDGE = 1e-2
REACH = 1.0
"""Distance beyond the measured range at which a regression is still trusted: 1 in log2, a factor of two in size."""


@dataclass(frozen=True)
class OperatorTime:
    """Regression of log(seconds) on features; `error` is the median leave-one-out error."""

    points: Array
    center: Array
    scale: Array
    slope: Array
    weights: Array
    error: float

    @classmethod
    def learn(cls, features: Sequence[Sequence[float]], log_seconds: Sequence[float]) -> OperatorTime:
        """Fit one row of features and log(seconds) for each measurement."""
        rows, values = np.asarray(features, dtype=float), np.asarray(log_seconds, dtype=float)
        center, scale = rows.mean(0), rows.std(0)
        scale[scale < 1e-9] = 1.0
        points = (rows - center) / scale
        rest = values - _predict_linear(points, _fit_ridge(points, values))
        lengths, noise = _choose_lengths(points, rest)
        points /= lengths
        slope = _fit_ridge(points, values)
        weights, left_out = _leave_one_out(points, values - _predict_linear(points, slope), noise)
        return cls(points, center, scale * lengths, slope, weights, float(np.median(np.abs(left_out))))

    def __call__(self, features: Sequence[float]) -> float:
        """Predict log(seconds) for features.

        Beyond the measured range the time grows at most in proportion to each size, whatever slope a few close
        measurements suggest. It falls likewise, but by no more than REACH: at some smaller size an operator costs only
        its call and moving its input.
        """
        point = self._scaled(features)
        nearest = self._nearest(point, 0.0)
        beyond = np.abs((point - nearest) * self.scale)
        if not beyond.any():
            return self._predict(point)
        rise, fall = (log(2) * float(sizes.sum()) for sizes in (beyond, np.minimum(beyond, REACH)))
        return float(np.clip(self._predict(point), self._predict(nearest) - fall, self._predict(nearest) + rise))

    def reaches(self, features: Sequence[float]) -> bool:
        """Return whether each feature lies in the measured range, or at most REACH outside it."""
        point = self._scaled(features)
        return bool(np.all(self._nearest(point, REACH) == point))

    def _predict(self, point: Array) -> float:
        return float((_predict_linear(point[None], self.slope) + _gaussian(point[None], self.points) @ self.weights)[0])

    def _nearest(self, point: Array, reach: float) -> Array:
        """Clip each feature to the measured range, widened by `reach`."""
        return np.clip(point, self.points.min(0) - reach / self.scale, self.points.max(0) + reach / self.scale)

    def _scaled(self, features: Sequence[float]) -> Array:
        return np.asarray((np.asarray(features, dtype=float) - self.center) / self.scale)

    def to_dict(self) -> dict[str, Any]:
        """Return the regression as JSON saves it."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OperatorTime:
        """Load a regression from the result of `to_dict`."""
        kept: dict[str, Any] = {n: np.asarray(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**kept)


def _choose_lengths(points: Array, rest: Array) -> tuple[Array, float]:
    """Return each feature's length scale and the noise: the best common length scale, then each in turn."""
    spread = max(float(rest.var()), 1e-6)

    def score(lengths: Array, noise: float) -> float:
        # Squared error, clipped so that a few outliers do not decide.
        return float(np.minimum(_leave_one_out(points / lengths, rest, noise)[1] ** 2, 9 * spread).mean())

    common = [(np.full(points.shape[1], length), noise) for length, noise in product(LENGTHS, NOISES)]
    best, lengths, noise = min(((score(*pair), *pair) for pair in common), key=lambda found: found[0])
    for place in [*range(len(lengths))] * SWEEPS:
        for factor in FACTORS:
            tried = lengths.copy()
            tried[place] = np.clip(tried[place] * factor, LEAST, MOST)
            if (found := score(tried, noise)) < best:
                best, lengths = found, tried
    return lengths, min(NOISES, key=lambda noise: score(lengths, noise))


def _leave_one_out(points: Array, rest: Array, noise: float) -> tuple[Array, Array]:
    """Return the weights of the points, and each point's leave-one-out error."""
    inverse = np.linalg.inv(_gaussian(points, points) + noise * np.eye(len(rest)))
    weights = inverse @ rest
    return weights, weights / np.diag(inverse)


def _gaussian(left: Array, right: Array) -> Array:
    return np.asarray(np.exp(-((left[:, None] - right[None]) ** 2).sum(-1) / 2))


def _add_intercept(points: Array) -> Array:
    return np.hstack([points, np.ones((len(points), 1))])


def _fit_ridge(points: Array, values: Array) -> Array:
    rows = _add_intercept(points)
    return np.asarray(np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ values))


def _predict_linear(points: Array, slope: Array) -> Array:
    return np.asarray(_add_intercept(points) @ slope)

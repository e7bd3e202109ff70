"""How long operators of a kind take, as a smooth function of their sizes: Gaussian-process regression.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, Sec. 2.7 (with a linear mean). What is learned is
the logarithm of the time; the noise and each feature's length (Sec. 5.1) are chosen by the error of leaving
one out, Sec. 5.4.2.
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
"""Of a feature's length, in deviations: below it measurements stand alone, above it the feature does not matter."""
RIDGE = 1e-2
REACH = 1.0
"""How far beyond its measurements a regression is believed: of sizes, whose logarithms to base 2 they are, twice."""


@dataclass(frozen=True)
class OperatorTime:
    """log(seconds) by features, learned from measurements; `error` is that of leaving one out (median)."""

    points: Array
    centre: Array
    scale: Array
    slope: Array
    weights: Array
    error: float

    @classmethod
    def learn(cls, features: Sequence[Sequence[float]], log_seconds: Sequence[float]) -> OperatorTime:
        """From one row of features and log(seconds) for each measurement."""
        rows, values = np.asarray(features, dtype=float), np.asarray(log_seconds, dtype=float)
        centre, scale = rows.mean(0), rows.std(0)
        scale[scale < 1e-9] = 1.0
        points = (rows - centre) / scale
        rest = values - _linear(points, _ridge(points, values))
        lengths, noise = _smoothness(points, rest)
        points /= lengths
        slope = _ridge(points, values)
        weights, left_out = _left_out(points, values - _linear(points, slope), noise)
        return cls(points, centre, scale * lengths, slope, weights, float(np.median(np.abs(left_out))))

    def __call__(self, features: Sequence[float]) -> float:
        """log(seconds) there.

        Beyond what was measured the time grows by no more than each size does, whatever the slope that a few
        measurements close to each other seem to have. It falls likewise, but no farther than REACH: at some size, which
        was not seen, an operator costs no more than being called and moving its input.
        """
        point = self._scaled(features)
        nearest = self._nearest(point, 0.0)
        beyond = np.abs((point - nearest) * self.scale)
        if not beyond.any():
            return self._at(point)
        rise, fall = (log(2) * float(sizes.sum()) for sizes in (beyond, np.minimum(beyond, REACH)))
        return float(np.clip(self._at(point), self._at(nearest) - fall, self._at(nearest) + rise))

    def reaches(self, features: Sequence[float]) -> bool:
        """Whether each feature lies among those measured, or no farther from them than REACH."""
        point = self._scaled(features)
        return bool(np.all(self._nearest(point, REACH) == point))

    def _at(self, point: Array) -> float:
        return float((_linear(point[None], self.slope) + _near(point[None], self.points) @ self.weights)[0])

    def _nearest(self, point: Array, reach: float) -> Array:
        """The point whose every feature lies among those measured, or no farther from them than `reach`."""
        return np.clip(point, self.points.min(0) - reach / self.scale, self.points.max(0) + reach / self.scale)

    def _scaled(self, features: Sequence[float]) -> Array:
        return np.asarray((np.asarray(features, dtype=float) - self.centre) / self.scale)

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OperatorTime:
        """From what `to_dict` gave."""
        kept: dict[str, Any] = {n: np.asarray(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**kept)


def _smoothness(points: Array, rest: Array) -> tuple[Array, float]:
    """The length of each feature and the noise: the best common length, then each feature's own in turn."""
    spread = max(float(rest.var()), 1e-6)

    def score(lengths: Array, noise: float) -> float:
        # Squared error for a choice without luck; a few stray measurements must not decide.
        return float(np.minimum(_left_out(points / lengths, rest, noise)[1] ** 2, 9 * spread).mean())

    common = [(np.full(points.shape[1], length), noise) for length, noise in product(LENGTHS, NOISES)]
    best, lengths, noise = min(((score(*pair), *pair) for pair in common), key=lambda found: found[0])
    for place in [*range(len(lengths))] * SWEEPS:
        for factor in FACTORS:
            tried = lengths.copy()
            tried[place] = np.clip(tried[place] * factor, LEAST, MOST)
            if (found := score(tried, noise)) < best:
                best, lengths = found, tried
    return lengths, min(NOISES, key=lambda noise: score(lengths, noise))


def _left_out(points: Array, rest: Array, noise: float) -> tuple[Array, Array]:
    """The weights of the points, and the error at each if it were not among them."""
    inverse = np.linalg.inv(_near(points, points) + noise * np.eye(len(rest)))
    weights = inverse @ rest
    return weights, weights / np.diag(inverse)


def _near(left: Array, right: Array) -> Array:
    return np.asarray(np.exp(-((left[:, None] - right[None]) ** 2).sum(-1) / 2))


def _with_one(points: Array) -> Array:
    return np.hstack([points, np.ones((len(points), 1))])


def _ridge(points: Array, values: Array) -> Array:
    rows = _with_one(points)
    return np.asarray(np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ values))


def _linear(points: Array, slope: Array) -> Array:
    return np.asarray(_with_one(points) @ slope)

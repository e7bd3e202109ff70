"""Align pairs of pictures by affine motions, and correlate them where they overlap.

The alignment is the inverse compositional algorithm of Baker and Matthews 2004 ("Lucas-Kanade 20 Years On", IJCV
56(3)): Gauss-Newton steps on the squared difference, with slopes and curvature of the first picture alone. Places are
in units of half a picture's width, from -1 to 1, so that a motion holds at every resolution. Each pair is computed for
itself: the other pairs of a call change nothing.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motions", "Values", "align", "compose", "correlate", "sample", "steepest"]

Values: TypeAlias = NDArray[np.float32]
Motions: TypeAlias = NDArray[np.float32]
"""(P, 2, 3): the place (down, right) in the second picture is the motion times (down, right, 1) in the first."""

RIDGE = 0.01
"""Share of the mean curvature that is added to each, so that a picture without shapes in a direction stays put."""
_NOWHERE = np.array([[0, 0, -2], [0, 0, -2]], np.float32)
"""Motion whose places are all outside."""


def align(first: Values, which: NDArray[np.int64], second: Values, motion: Motions, steps: int) -> Motions:
    """Return the motions of P pairs after Gauss-Newton steps from `motion`.

    Args:
        first: (U, S, S) different first pictures.
        which: (P,) number of each pair's first picture.
        second: (P, S, S) second pictures.
        motion: (P, 2, 3).
        steps: Number of steps.
    """
    images = steepest(first)
    curvature = images @ images.transpose(0, 2, 1)
    ridge = RIDGE * np.trace(curvature, axis1=1, axis2=2) / 6 + 1e-3
    inverse = np.linalg.inv(curvature + ridge[:, None, None] * np.eye(6, dtype=np.float32))
    downhill = (inverse @ images)[which]
    target = first.reshape(len(first), -1)[which]
    for _ in range(steps):
        difference, inside = sample(second, motion)
        difference -= target
        difference *= inside
        motion = compose(motion, (downhill @ difference[:, :, None])[:, :, 0])
    return motion


def steepest(pictures: Values) -> Values:
    """Return the steepest-descent images of pictures (N, S, S): how each entry of a motion changes them, (N, 6, S²)."""
    count, side = pictures.shape[:2]
    slopes = np.gradient(pictures, 2 / side, axis=(1, 2))
    return np.concatenate([slope.reshape(count, 1, side**2) * _places(side) for slope in slopes], axis=1)


def compose(motion: Motions, change: Values) -> Motions:
    """Return the motions (P, 2, 3) after the inverse of changes (P, 6) of the first picture."""
    forward = np.tile(np.eye(3, dtype=np.float32), (len(change), 1, 1))
    forward[:, :2] += change.reshape(-1, 2, 3)
    whole = np.tile(np.eye(3, dtype=np.float32), (len(change), 1, 1))
    whole[:, :2] = motion
    return (whole @ np.linalg.inv(forward))[:, :2]


def sample(pictures: Values, motion: Motions) -> tuple[Values, NDArray[np.bool_]]:
    """Return (values of each picture at the moved places, bilinear; whether the places are inside), both (P, S²)."""
    side = pictures.shape[1]
    found = np.isfinite(motion).all(axis=(1, 2), keepdims=True)
    places = np.where(found, motion, _NOWHERE) @ _places(side)
    places += 1
    places *= side / 2
    places -= 0.5
    inside = ((places >= -0.5) & (places <= side - 0.5)).all(axis=1)
    np.clip(places, 0, np.float32(side - 1.001), out=places)
    corner = places.astype(np.int32)
    places -= corner
    at = (corner[:, 0] * side + corner[:, 1]).astype(np.int64)
    at += np.arange(0, pictures.size, side**2)[:, None]
    flat = np.empty(pictures.size, np.complex64)  # each value and the next one: two pixels are taken at once
    flat.real = pictures.ravel()
    flat.imag[:-1], flat.imag[-1] = flat.real[1:], 0
    above, below = flat.take(at), flat.take(at + side)
    down, right = places[:, 0], places[:, 1]
    return _blend(_blend(above.real, above.imag, right), _blend(below.real, below.imag, right), down), inside


def correlate(first: Values, second: Values, inside: NDArray[np.bool_]) -> Values:
    """Return the correlation of each row of two arrays (P, pixels) over the pixels inside, (P,)."""
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    a, b = ((x - (x * inside).sum(axis=1, keepdims=True) / count) * inside for x in (first, second))
    length = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    correlation: Values = (a * b).sum(axis=1) / np.maximum(length, np.float32(1e-6))
    return correlation


def _blend(start: Values, end: Values, share: Values) -> Values:
    """Return start + (end - start) * share."""
    values = end - start
    values *= share
    values += start
    return values


@cache
def _places(side: int) -> Values:
    """Return (down, right, 1) of each pixel's center, (3, side²)."""
    axis = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / side) - 1
    down, right = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([down.ravel(), right.ravel(), np.ones(side**2, np.float32)])

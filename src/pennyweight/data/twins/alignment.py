"""Align the pictures of a pair, then compare their small shapes where they overlap.

The alignment is affine: the inverse compositional algorithm of Baker and Matthews 2004 ("Lucas-Kanade 20 Years On",
IJCV 56(3)), from the view in which the pair was found. It minimizes the squared difference of the coarsely normalized
thumbnails. The score is the correlation of the finely normalized ones: pictures of different things can be aligned by
their large shapes, and then differ in the small ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.candidates import MARGIN, VIEWS
from pennyweight.data.twins.normalize import COARSE, FINE, Floats, normalize
from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["align_and_score"]

STEPS = 8
HALF = SIDE / 2
MOST_CHANGE = 0.3
"""Largest entry of the affine matrix beside the identity: 30% of the size, a shift by 15% of the width."""
LEAST_OVERLAP = 0.6
RIDGE = 0.01
"""Share of the mean curvature that is added to each, so that a picture without shapes in a direction stays put."""

_axis = (np.arange(SIDE) + 0.5) / HALF - 1
_down, _right = (grid.ravel() for grid in np.meshgrid(_axis, _axis, indexing="ij"))
_PLACES = np.stack([_down, _right, np.ones(SIDE**2)])
"""(3, SIDE²): pixels' coordinates from -1 to 1, and 1."""


def align_and_score(
    first: NDArray[np.uint8], second: NDArray[np.uint8], views: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the correlation of P pairs of thumbnails after alignment, (P,) from -1 to 1; each pair for itself.

    Args:
        first: (P, SIDE, SIDE) gray.
        second: (P, SIDE, SIDE) gray.
        views: (P,) view of the second picture in which the pair was found.
    """
    mirrored = np.array([view.mirrored for view in VIEWS])[views]
    second = np.where(mirrored[:, None, None], second[:, :, ::-1], second)
    motion = _align(normalize(first, COARSE), normalize(second, COARSE), _STARTS[views])
    seen, inside = _sample(normalize(second, FINE), motion)
    scores = _correlate(normalize(first, FINE).reshape(len(first), -1), seen, inside)
    change = np.abs(motion - np.eye(2, 3)).max(axis=(1, 2), initial=0)
    plausible = (change <= MOST_CHANGE) & (inside.mean(axis=1) >= LEAST_OVERLAP)
    return np.where(plausible, scores, -1).round(4).astype(np.float32)


def _start(down: float, right: float, inward: float) -> Floats:
    zoom = 1 - inward / (HALF - MARGIN)
    return np.array([[zoom, 0, down / HALF], [0, zoom, right / HALF]])


_STARTS = np.stack([_start(view.down, view.right, view.inward) for view in VIEWS])


def _align(first: Floats, second: Floats, motion: Floats) -> Floats:
    """Return the affine motions (P, 2, 3) that take a place in the first picture to its place in the second."""
    count = len(first)
    slopes = np.gradient(first, 1 / HALF, axis=(1, 2))
    steepest = np.concatenate([slope.reshape(count, 1, -1) * _PLACES for slope in slopes], axis=1)
    curvature = steepest @ steepest.transpose(0, 2, 1)
    ridge = RIDGE * np.trace(curvature, axis1=1, axis2=2) / 6 + 1e-3
    inverse = np.linalg.inv(curvature + ridge[:, None, None] * np.eye(6))
    target = first.reshape(count, -1)
    whole = np.tile(np.eye(3), (count, 1, 1))
    change = whole.copy()
    for _ in range(STEPS):
        seen, inside = _sample(second, motion)
        downhill = steepest @ ((seen - target) * inside)[:, :, None]
        change[:, :2] = np.eye(2, 3) + (inverse @ downhill).reshape(count, 2, 3)
        whole[:, :2] = motion
        motion = (whole @ np.linalg.inv(change))[:, :2]
    return motion


def _sample(pictures: Floats, motion: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (values of each picture at the moved places, whether the places are inside), both (P, SIDE²)."""
    places = (motion @ _PLACES + 1) * HALF - 0.5
    inside = ((places >= -0.5) & (places <= SIDE - 0.5)).all(axis=1)
    places = places.clip(0, SIDE - 1.001)
    corner = places.astype(np.int64)
    (down, right), (top, left) = (places - corner).transpose(1, 0, 2), corner.transpose(1, 0, 2)
    flat = pictures.reshape(-1)
    at = top * SIDE + left + np.arange(len(pictures))[:, None] * SIDE**2
    above = flat[at] * (1 - right) + flat[at + 1] * right
    below = flat[at + SIDE] * (1 - right) + flat[at + SIDE + 1] * right
    return above * (1 - down) + below * down, inside


def _correlate(a: Floats, b: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Return the correlation of each row of two arrays (P, pixels) over the pixels inside."""
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    a, b = ((x - (x * inside).sum(axis=1, keepdims=True) / count) * inside for x in (a, b))
    length = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    correlation: Floats = (a * b).sum(axis=1) / np.maximum(length, 1e-9)
    return correlation

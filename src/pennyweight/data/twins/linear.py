"""Predict the correlation of pairs after alignment, from the slopes of the first picture alone.

A small motion changes a picture by a sum of its six steepest-descent images. So the second picture, in the view in
which the pair was found, is fitted by these images and the first picture: the share of it that is explained bounds the
correlation that an alignment reaches, and the fit is the first step of one. That takes two small matrix products a pair
and no interpolation.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.alignment import Motions, Values, compose, sample, steepest
from pennyweight.data.twins.thumbnails import SIDE
from pennyweight.data.twins.views import MARGIN, VIEWS, View

__all__ = ["PIXELS", "STARTS", "predict"]

PIXELS = 2
"""Pixels of a thumbnail to a side of one that is fitted."""
LEAST_GAIN = 1.0
"""Least contrast of the second picture against the first one that the fitted motion is divided by."""
RIDGE = 0.01
"""Share of the mean square of the steepest-descent images that is added to each."""
Numbers = NDArray[np.int64]


def predict(first: Values, which: Numbers, second: Values, views: Numbers) -> tuple[Values, Motions]:
    """Return (predicted correlations (P,), motions (P, 2, 3) after a first step) of P pairs.

    Args:
        first: (U, S, S) different first pictures, S = SIDE / PIXELS.
        which: (P,) number of each pair's first picture.
        second: (P, S, S) second pictures.
        views: (P,) views of these.
    """
    middle = _middle()
    images = steepest(first)[:, :, middle]
    basis = np.concatenate([first.reshape(len(first), 1, -1)[:, :, middle], images], axis=1)
    basis -= basis.mean(axis=2, keepdims=True)
    square = basis @ basis.transpose(0, 2, 1)
    ridge = RIDGE / 6 * np.trace(square[:, 1:, 1:], axis1=1, axis2=2)[:, None] * (np.arange(7) > 0) + 1e-3
    inverse = np.linalg.inv(square + ridge[:, :, None] * np.eye(7, dtype=np.float32)).astype(np.float32)
    seen = np.empty((len(second), len(middle)), np.float32)
    for view in np.unique(views).tolist():
        rows = np.flatnonzero(views == view)
        seen[rows] = second[rows].reshape(len(rows), -1) @ _view(VIEWS[view])
    seen -= seen.mean(axis=1, keepdims=True)
    shares = (basis[which] @ seen[:, :, None])[:, :, 0]
    fit = (inverse[which] @ shares[:, :, None])[:, :, 0]
    explained = (fit * shares).sum(axis=1) / np.maximum(np.square(seen).sum(axis=1), np.float32(1e-6))
    motion = compose(STARTS[views], fit[:, 1:] / np.maximum(fit[:, :1], LEAST_GAIN))
    return np.sqrt(np.clip(explained, 0, 1)), motion


def _start(view: View) -> Motions:
    """Return the motion from the middle view to another one, (2, 3)."""
    zoom = 1 - view.inward / (SIDE / 2 - MARGIN)
    return np.array([[zoom, 0, 2 * view.down / SIDE], [0, zoom, 2 * view.right / SIDE]], np.float32)


STARTS = np.stack([_start(view) for view in VIEWS])
"""Motion of each view, from which the alignment starts."""


@cache
def _middle() -> Numbers:
    """Return the numbers of the pixels that the middle view shows."""
    side, margin = SIDE // PIXELS, round(MARGIN / PIXELS)
    pixels = np.arange(side**2).reshape(side, side)
    return pixels[margin:-margin, margin:-margin].ravel()


@cache
def _view(view: View) -> Values:
    """Return the matrix (pixels of the second picture, pixels of the middle) of bilinear interpolation."""
    side = SIDE // PIXELS
    single = np.eye(side**2, dtype=np.float32).reshape(-1, side, side)
    shown = sample(single[:, :, ::-1] if view.mirrored else single, np.tile(_start(view), (side**2, 1, 1)))[0]
    return np.ascontiguousarray(shown[:, _middle()])

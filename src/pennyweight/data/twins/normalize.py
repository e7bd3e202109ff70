"""Normalize thumbnails: take out slow changes of brightness, then divide by the local contrast.

Two pictures of one moment differ in brightness, contrast and tone; their edges stay. The Gaussian filters are matrix
products of both axes, exact at the borders and fast for many small pictures.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["COARSE", "FINE", "Floats", "Scale", "count_shapes", "normalize"]

Floats: TypeAlias = NDArray[np.float64]
Scale: TypeAlias = tuple[float, float]
"""Standard deviations, in pixels, of the Gaussians that take out brightness and measure contrast."""

COARSE: Scale = (4.0, 4.0)
"""Large shapes: pictures that are shifted by a tenth of their width still resemble each other."""
FINE: Scale = (2.0, 3.0)
"""Small shapes: pictures of different things do not resemble each other, even after alignment."""
PARTS = 4
"""Parts a side whose contrast is compared."""
CHUNK = 1024
FAINT = 6.0
"""Local contrast, in gray levels, that is too weak to be more than noise."""


def normalize(gray: NDArray[np.uint8], scale: Scale) -> Floats:
    """Return thumbnails (N, SIDE, SIDE) as values around 0 whose local standard deviation is at most 1."""
    brightness, contrast = (_gaussian(sigma) for sigma in scale)
    values = gray.astype(np.float64)
    values -= brightness @ values @ brightness.T
    values /= np.sqrt(contrast @ np.square(values) @ contrast.T + FAINT**2)
    return values


def count_shapes(gray: NDArray[np.uint8]) -> Floats:
    """Return the number of independent shapes of each thumbnail, (N,): how many uncorrelated pixels tell as much.

    It is the participation ratio of the power spectrum of the finely normalized picture (Bartlett's effective number of
    samples), times that of the contrast of its parts: about 100 for a photograph, 20 for a silhouette on a plain
    background, 10 for a horizon or for stripes, 500 for noise.
    """
    counts = np.empty(len(gray))
    for start in range(0, len(gray), CHUNK):
        values = normalize(gray[start : start + CHUNK], FINE)
        values -= values.mean(axis=(1, 2), keepdims=True)
        power = np.square(np.abs(np.fft.fft2(values)))
        parts = np.square(values).reshape(-1, PARTS, SIDE // PARTS, PARTS, SIDE // PARTS).sum(axis=(2, 4))
        counts[start : start + CHUNK] = _participation(power) * _participation(parts) / PARTS**2
    return counts


def _participation(power: Floats) -> Floats:
    """Return how many values of each (N, S, S) carry its sum: S² if all are equal, 1 if all but one are 0."""
    flat = power.reshape(len(power), -1)
    shares: Floats = flat.sum(axis=1) ** 2 / np.maximum(np.square(flat).sum(axis=1), 1e-9)
    return shares


def _gaussian(sigma: float) -> Floats:
    """Return the matrix (SIDE, SIDE) that filters a column; each row sums to 1, at the borders too."""
    distance = np.arange(SIDE)[:, None] - np.arange(SIDE)
    weights: Floats = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights

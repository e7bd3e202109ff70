"""Normalize thumbnails: take out slow changes of brightness, then divide by the local contrast.

Two pictures of one moment differ in brightness, contrast and tone; their edges stay. The Gaussian filters are matrix
products of both axes, exact at the borders and fast for many small pictures. Sets keep the values as bytes.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["COARSE", "FINE", "Floats", "Scale", "Values", "count_shapes", "normalize", "to_bytes"]

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = NDArray[np.float32]
Scale: TypeAlias = tuple[float, float]
"""Standard deviations, in pixels, of the Gaussians that take out brightness and measure contrast."""

COARSE: Scale = (4.0, 4.0)
"""Large shapes: pictures that are shifted by a tenth of their width still resemble each other."""
FINE: Scale = (2.0, 3.0)
"""Small shapes: pictures of different things do not resemble each other, even after alignment."""
PARTS = 4
"""Parts a side whose contrast is compared."""
CHUNK = 256
FAINT = 6.0
"""Local contrast, in gray levels, that is too weak to be more than noise."""
STEPS = 12
"""Steps of a byte for a normalized value of 1; a single bright pixel has 10 at most."""


def normalize(gray: NDArray[np.uint8], scale: Scale) -> Values:
    """Return thumbnails (N, SIDE, SIDE) as values around 0 whose local standard deviation is at most 1."""
    brightness, contrast = (_gaussian(sigma) for sigma in scale)
    values = gray.astype(np.float32)
    values -= brightness @ (values @ brightness.T)
    values /= np.sqrt(contrast @ (np.square(values) @ contrast.T) + np.float32(FAINT**2))
    return values


def to_bytes(values: Values) -> NDArray[np.int8]:
    """Return normalized values in steps of 1 / STEPS."""
    return np.rint(np.clip(values * STEPS, -127, 127)).astype(np.int8)


def count_shapes(fine: Values) -> Floats:
    """Return the number of independent shapes of each thumbnail, (N,): how many uncorrelated pixels tell as much.

    It is the participation ratio of the power spectrum of the finely normalized picture (Bartlett's effective number of
    samples), times that of the contrast of its parts: about 100 for a photograph, 20 for a silhouette on a plain
    background, 10 for a horizon or for stripes, 500 for noise.

    Args:
        fine: (N, SIDE, SIDE) thumbnails, finely normalized.
    """
    values = fine - fine.mean(axis=(1, 2), keepdims=True)
    spectrum = np.fft.rfft2(values)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    power = np.concatenate([power, power[:, :, 1:-1]], axis=2)  # the other half is the same
    parts = np.square(values).reshape(-1, PARTS, SIDE // PARTS, PARTS, SIDE // PARTS).sum(axis=(2, 4))
    return _participation(power) * _participation(parts) / PARTS**2


def _participation(power: Values) -> Floats:
    """Return how many values of each (N, S, S) carry its sum: S² if all are equal, 1 if all but one are 0."""
    flat = power.reshape(len(power), -1).astype(np.float64)
    shares: Floats = flat.sum(axis=1) ** 2 / np.maximum(np.square(flat).sum(axis=1), 1e-9)
    return shares


@cache
def _gaussian(sigma: float) -> Values:
    """Return the matrix (SIDE, SIDE) that filters a column; each row sums to 1, at the borders too."""
    distance = np.arange(SIDE)[:, None] - np.arange(SIDE)
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)

"""Responses of small fixed filters at several scales: features without training that show how fine a detail is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels

__all__ = ["filter_responses"]

LEAST_SIDE = 24
"""Shortest side of the smallest scale in pixels."""


def filter_responses(pixels: Pixels) -> Mapping[int, NDArray[np.float32]]:
    """Describe a picture at its own scale and at halved ones. (H, W, C) uint8 -> {shorter side: (C * 30,) float32}.

    The filters are derivatives of up to second order. Mean, mean of the absolute values, deviation and extremes
    summarize the responses of each: a texture moves the means, and a single mark moves the extremes.
    """
    channels = [np.ascontiguousarray(pixels[..., number], np.float32) for number in range(pixels.shape[-1])]
    found = {}
    while True:
        shorter = min(channels[0].shape)
        rows = [_summarize(values) for x in channels for values in _derivatives(x)]
        found[shorter] = np.array(rows, np.float32).ravel()
        if shorter < 2 * LEAST_SIDE:
            return found
        channels = [_halve(x) for x in channels]


def _derivatives(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield values, differences across and down, their second ones and the mixed one. (H, W), or a little smaller."""
    yield x
    across = x[:, 1:] - x[:, :-1]
    yield across
    yield across[:, 1:] - across[:, :-1]
    yield across[1:] - across[:-1]
    down = x[1:] - x[:-1]
    yield down
    yield down[1:] - down[:-1]


def _summarize(x: NDArray[np.float32]) -> tuple[float, ...]:
    """Return mean, mean absolute value, deviation, largest and smallest value."""
    flat = x.ravel()
    mean, square = flat.mean(), np.dot(flat, flat) / len(flat)
    return mean, np.abs(flat).mean(), max(0.0, square - mean**2) ** 0.5, flat.max(), flat.min()


def _halve(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average squares of four pixels; an odd last row or column is left out. (H, W) -> (H // 2, W // 2)"""
    height, width = (side // 2 * 2 for side in x.shape)
    x = x[:height, :width]
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) * np.float32(0.25)

"""Mean and standard deviation of each channel, for pictures that are neither gray nor RGB."""

from __future__ import annotations

import numpy as np

from pennyweight.data.pictures import Pictures

__all__ = ["channel_statistics"]

LOOKED_AT = 1000
LEAST_STD = 1 / 255


def channel_statistics(pictures: Pictures) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (mean, std) of each channel, for pixels in 0..1, over up to 1,000 evenly spaced pictures."""
    numbers = np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), LOOKED_AT)).astype(np.int64))
    total = squares = np.zeros(pictures.preprocess.channels)
    count = 0
    for part in np.array_split(numbers, -(-len(numbers) // 64)):
        pixels = pictures.pixels(part).reshape(-1, pictures.preprocess.channels).astype(np.float64) / 255
        total, squares, count = total + pixels.sum(0), squares + (pixels**2).sum(0), count + len(pixels)
    mean = total / count
    # A constant band has deviation 0, which normalization cannot divide by.
    std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), LEAST_STD)
    return tuple(np.round(mean, 4).tolist()), tuple(np.round(std, 4).tolist())

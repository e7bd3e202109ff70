"""Seeded pictures for measurements without pictures: blotches of many sizes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pennyweight.core.images import Pixels

__all__ = ["seeded_pixels"]


def seeded_pixels(count: int, shape: tuple[int, int, int], *, seed: int = 0) -> Pixels:
    """Draw blotches, from coarse to fine: (count, H, W, C) uint8, the same for the same arguments."""
    draw = np.random.default_rng(seed)
    height, width, channels = shape
    made = np.empty((count, height, width, channels), np.uint8)
    for number in range(count):
        for channel in range(channels):
            coarse = draw.integers(0, 256, (2 + number % 30, 3 + number % 30), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            made[number, ..., channel] = np.asarray(smooth)
    return made

"""Coarse looks of a decoded picture: mean colors, outermost pixels, detail and thumbnails, as a row of fixed size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.images import Pixels
from pennyweight.core.modes import to_mode
from pennyweight.data.checks.near_duplicates import hash_of
from pennyweight.data.twins.thumbnails import SIDE as GRAY_SIDE
from pennyweight.data.twins.thumbnails import thumbnail_of

__all__ = ["LEAST", "LOOKS", "look_at"]

LEAST = 128
"""Smallest short side at which a JPEG is decoded. A border one pixel wide of a picture 16 times as large still changes
the outermost pixels by an eighth of its contrast."""
SIDE = 8
INSET = 0.28
"""Depth of the inner rectangle, as a share of each side, whose outermost pixels are the control of the picture's."""
STEP = 0.08
"""Distance between the outermost pixels and the line that they are compared with, as a share of the side."""
MOST_DETAIL = 128
"""Side in pixels of the center whose detail is measured."""
SIDES, LINE = 4, 7
"""Sides of a picture, and figures of each: mean red, green and blue, deviation along the line, difference to the next
line with its sign, the same without sign, and difference with its sign to the line STEP further in."""
DETAIL = 11
"""Figures of detail: mean and deviation of the gray center; in each direction, mean first and second differences, and
both cut off at CUTS, which noise and sharpness raise more than edges do; deviation on a coarse scale."""
CUTS = (2, 8)

LOOKS = np.dtype(
    [
        ("thumbnail", np.uint8, (SIDE, SIDE, 3)),
        ("ring", np.float32, (SIDES, LINE)),
        ("inner_ring", np.float32, (SIDES, LINE)),
        ("detail", np.float32, (DETAIL,)),
        ("levels_used", np.int16),
        ("plain", np.bool_),
        ("hash", np.uint64),
        ("small", np.uint8, (16, 16)),
        ("gray", np.uint8, (GRAY_SIDE, GRAY_SIDE)),
    ]
)
"""Row of a picture. thumbnail: 8×8 RGB. ring: figures of the outermost pixels, inner_ring: those of the rectangle INSET
further in, both in the order top, bottom, left, right. detail: noise, sharpness and contrast of the center.
levels_used: from the darkest to the brightest, 1 to 256. hash and small: perceptual hash, undefined if `plain`.
gray: thumbnail in which twins are found."""


def look_at(bands: Sequence[Image.Image]) -> NDArray[np.void]:
    """Return the row of a decoded picture, () LOOKS.

    Args:
        bands: The picture as `decode_bands` gives it; of many bands, three evenly spaced ones count as its colors.
    """
    row = np.zeros((), LOOKS)
    colors = _colors(bands)
    pixels = np.asarray(colors)
    row["thumbnail"] = np.asarray(colors.resize((SIDE, SIDE), Image.Resampling.BOX))
    row["ring"] = _ring(pixels)
    height, width = pixels.shape[:2]
    down, across = int(height * INSET), int(width * INSET)
    row["inner_ring"] = _ring(pixels[down : height - down, across : width - across])
    row["detail"] = (*_detail(colors), row["thumbnail"].mean(2).std())
    extrema = np.array([image.getextrema() for image in bands], np.int16).reshape(-1, 2)
    row["levels_used"] = np.ptp(extrema, axis=1).max() + 1
    row["gray"] = thumbnail_of(bands[len(bands) // 2])
    found = hash_of(bands)
    row["plain"] = found is None
    if found is not None:
        row["hash"], row["small"] = found.bits, found.small
    return row


def _colors(bands: Sequence[Image.Image]) -> Image.Image:
    """Return the picture in RGB, transparency laid on white."""
    if len(bands) == 1:
        return to_mode(bands[0], "RGB", ())
    chosen = np.linspace(0, len(bands) - 1, 3).round().astype(int)
    return Image.merge("RGB", [bands[number] for number in chosen])


def _ring(pixels: Pixels) -> NDArray[np.float32]:
    """Return the figures of the outermost pixels. (H, W, 3) -> (SIDES, LINE), in the order top, bottom, left, right."""
    return np.concatenate([_edges(pixels), _edges(pixels.swapaxes(0, 1))])


def _edges(pixels: Pixels) -> NDArray[np.float32]:
    """Return the figures of the first and the last row. (H, W, 3) -> (2, LINE)."""
    length, last = pixels.shape[1], len(pixels) - 1
    depths = [0, min(1, last), min(max(2, round(STEP * len(pixels))), last)]
    lines = pixels[[[depth, last - depth] for depth in depths]].astype(np.float32)  # (3 depths, 2 sides, W, 3)
    means = lines.sum(2) / length
    outer, nearer = lines[0], lines[1]
    deviations = np.sqrt(np.maximum((outer * outer).sum(1) / length - means[0] ** 2, 0)).sum(1) / 3
    rough = np.abs(outer - nearer).sum((1, 2)) / (3 * length)
    gray = means.sum(2) / 3
    return np.column_stack([means[0], deviations, gray[0] - gray[1], rough, gray[0] - gray[2]])


def _detail(colors: Image.Image) -> list[float]:
    """Return figures of the detail in the center, which decide how well a picture compresses. -> DETAIL - 1 figures."""
    across, down = (max(0, (side - MOST_DETAIL) // 2) for side in colors.size)
    center = colors.crop((across, down, colors.width - across, colors.height - down)).convert("L")
    gray = np.asarray(center).astype(np.int16)
    figures = [float(gray.mean()), float(gray.std())]
    for axis in (0, 1):
        for order, cut in zip((1, 2), CUTS, strict=True):
            steps = np.abs(np.diff(gray, n=order, axis=axis))
            figures += [float(steps.mean()), float(np.minimum(steps, cut).mean())] if steps.size else [0.0, 0.0]
    return figures

"""Coarse looks of a decoded picture: mean colors, outermost pixels, detail and thumbnails, as a row of fixed size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.images import Pixels
from pennyweight.core.modes import to_mode
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
        ("gray", np.uint8, (GRAY_SIDE, GRAY_SIDE)),
    ]
)
"""Row of a picture. thumbnail: 8×8 RGB. ring: figures of the outermost pixels, inner_ring: those of the rectangle INSET
further in, both in the order top, bottom, left, right. detail: noise, sharpness and contrast of the center.
levels_used: from the darkest to the brightest, 1 to 256. gray: thumbnail in which twins are found."""


def look_at(pictures: Sequence[Sequence[Image.Image]]) -> NDArray[np.void]:
    """Return the rows of decoded pictures, (B,) LOOKS; pictures of one size are computed together, which is faster.

    Args:
        pictures: Pictures as `decode_bands` gives them; of many bands, three evenly spaced ones count as the colors.
    """
    rows = np.zeros(len(pictures), LOOKS)
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    colors = [_colors(bands) for bands in pictures]
    for number, (bands, image) in enumerate(zip(pictures, colors, strict=True)):
        sizes[image.size].append(number)
        rows["thumbnail"][number] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
        rows["gray"][number] = thumbnail_of(bands[len(bands) // 2])
        extrema = np.array([image.getextrema() for image in bands], np.int16).reshape(-1, 2)
        rows["levels_used"][number] = np.ptp(extrema, axis=1).max() + 1
    for numbers in sizes.values():
        alone = len(numbers) == 1  # a large picture is not copied
        alike = [np.asarray(colors[number]) for number in numbers]
        pixels = alike[0][None] if alone else np.stack(alike)
        height, width = pixels.shape[1:3]
        down, across = int(height * INSET), int(width * INSET)
        rows["ring"][numbers] = _ring(pixels)
        rows["inner_ring"][numbers] = _ring(pixels[:, down : height - down, across : width - across])
        rows["detail"][numbers, :-1] = _detail([colors[number] for number in numbers])
    rows["detail"][:, -1] = rows["thumbnail"].mean(3).std((1, 2))
    return rows


def _colors(bands: Sequence[Image.Image]) -> Image.Image:
    """Return the picture in RGB, transparency laid on white."""
    if len(bands) == 1:
        return to_mode(bands[0], "RGB", ())
    chosen = np.linspace(0, len(bands) - 1, 3).round().astype(int)
    return Image.merge("RGB", [bands[number] for number in chosen])


def _ring(pixels: Pixels) -> NDArray[np.float32]:
    """Return the figures of the outermost pixels, in the order top, bottom, left, right.

    (B, H, W, 3) -> (B, SIDES, LINE)
    """
    return np.concatenate([_edges(pixels), _edges(pixels.swapaxes(1, 2))], axis=1)


def _edges(pixels: Pixels) -> NDArray[np.float32]:
    """Return the figures of the first and the last row. (B, H, W, 3) -> (B, 2, LINE)."""
    high, length = pixels.shape[1:3]
    last = high - 1
    depths = [0, min(1, last), min(max(2, round(STEP * high)), last)]
    lines = pixels[:, [[depth, last - depth] for depth in depths]].astype(np.float32)  # (B, 3 depths, 2 sides, W, 3)
    means = lines.sum(3) / length
    outer, nearer = lines[:, 0], lines[:, 1]
    deviations = np.sqrt(np.maximum((outer * outer).sum(2) / length - means[:, 0] ** 2, 0)).sum(2) / 3
    rough = np.abs(outer - nearer).sum((2, 3)) / (3 * length)
    gray = means.sum(3) / 3
    steps = np.stack([deviations, gray[:, 0] - gray[:, 1], rough, gray[:, 0] - gray[:, 2]], axis=2)
    return np.concatenate([means[:, 0], steps], axis=2)


def _detail(pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Return figures of the detail in the center, which decide how well pictures of one size compress.

    B pictures -> (B, DETAIL - 1)
    """
    width, height = pictures[0].size
    across, down = (max(0, (side - MOST_DETAIL) // 2) for side in (width, height))
    box = (across, down, width - across, height - down)
    gray = np.stack([np.asarray(picture.crop(box).convert("L")) for picture in pictures]).astype(np.int16)
    figures = [gray.mean((1, 2)), gray.std((1, 2))]
    for axis in (1, 2):
        for order, cut in zip((1, 2), CUTS, strict=True):
            steps = np.abs(np.diff(gray, n=order, axis=axis))
            nothing = np.zeros(len(gray))
            figures += [steps.mean((1, 2)), np.minimum(steps, cut).mean((1, 2))] if steps.size else [nothing, nothing]
    return np.stack(figures, axis=1).astype(np.float32)

"""Resize a picture along its width first, then along its height: the same bytes by every version of Pillow.

Values are rounded to 8 bits between the two passes, so their order shows in the last bit. Pillow 13 begins with the
height where that shrinks much more than the width; earlier versions, and the scores published with them, never do.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from PIL import Image
from PIL.Image import Resampling

__all__ = ["Box", "resize"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge, in pixels of the picture."""

SUPPORT = {Resampling.BILINEAR: 1, Resampling.BICUBIC: 2, Resampling.LANCZOS: 3}
"""Pixels on each side that a filter reads where nothing shrinks."""
PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}
"""Modes that Pillow resizes with colors multiplied by their opacity."""


def resize(image: Image.Image, width: int, height: int, rule: Resampling, box: Box | None = None) -> Image.Image:
    """Return `box` of an image, by default all of it, as an image of width × height pixels, antialiased."""
    if rule not in SUPPORT or ((width, height) == image.size and box in (None, (0, 0, width, height))):
        return image.resize((width, height), rule, box=box)
    if image.mode in PREMULTIPLIED:
        return resize(image.convert(PREMULTIPLIED[image.mode]), width, height, rule, box).convert(image.mode)
    left, top, right, bottom = (float(np.float32(edge)) for edge in box or (0, 0, *image.size))  # as Pillow rounds them
    if image.height - height <= right - left - width:  # no version begins with the height
        return image.resize((width, height), rule, box=box)
    reach = SUPPORT[rule] * max(1.0, (bottom - top) / height) + 1
    first, last = max(0, int(top - reach)), min(image.height, ceil(bottom + reach))
    rows = image if (first, last) == (0, image.height) else image.crop((0, first, image.width, last))
    narrow = rows.resize((width, rows.height), rule, box=(left, 0, right, rows.height))
    return narrow.resize((width, height), rule, box=(0, top - first, width, bottom - first))

"""Gray thumbnails of pictures, which the search for twins compares."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pennyweight.core.images import Pixels
from pennyweight.core.modes import to_mode

__all__ = ["SIDE", "thumbnail_of"]

SIDE = 32


def thumbnail_of(image: Image.Image) -> Pixels:
    """Return the gray thumbnail of an upright 8-bit Pillow image, (SIDE, SIDE) uint8; its shape is not kept."""
    return np.asarray(to_mode(image, "L", ()).resize((SIDE, SIDE), Image.Resampling.BILINEAR))

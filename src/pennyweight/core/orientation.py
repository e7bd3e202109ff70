"""EXIF orientation of pictures: read the tag, and turn a picture upright."""

from __future__ import annotations

from PIL import Image

from pennyweight.core.exif import exif_of

__all__ = ["ON_SIDE", "orientation_of", "turn_upright"]

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> transposition that turns the picture upright; any other value is upright."""
ON_SIDE = (5, 6, 7, 8)
"""Orientations of pictures that are stored on their side: upright, their sides change places."""


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the metadata is damaged, because the pixels may be whole."""
    try:
        value = exif_of(image).get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in UPRIGHT else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture with this EXIF orientation upright."""
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image

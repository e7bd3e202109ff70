"""Pictures as data URIs, so that a page holds them itself."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["data_uri", "is_small", "thumbnail"]

THUMBNAIL = 256
"""Pixels of a thumbnail's longer side: sharp at the 160 CSS pixels that it gets on a phone."""
EXACT = 64
"""Pixels of the longer side up to which a picture is kept pixel for pixel."""


def data_uri(picture: Image.Image, kind: str = "png", **options: Any) -> str:
    """Return a picture as the data URI of a file of `kind`, png or jpeg; `options` are Pillow's for that kind."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def thumbnail(image: NDArray[np.uint8]) -> str:
    """Return the data URI of (H, W, C) uint8, of one channel or three; a large picture is shrunk."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    if is_small(image):
        return data_uri(picture, optimize=True)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_uri(picture, "jpeg", quality=85)


def is_small(image: NDArray[np.uint8]) -> bool:
    """Return True for a picture that a page shows pixel for pixel."""
    return bool(max(image.shape[:2]) <= EXACT)

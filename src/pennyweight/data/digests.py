"""Digests by which equal pictures are known: of the pixels of a small plain PNG and of an array, else of the file."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.formats import open_image
from pennyweight.core.orientation import orientation_of

__all__ = ["MOST_BYTES", "MOST_PIXELS", "Digests", "digest_of_array", "digest_of_picture", "digests_of_file"]

MOST_PIXELS = 1 << 16
"""Pixels, 256×256, up to which a PNG is decoded for its digest; that takes at most about 3 ms."""
MOST_BYTES = 1 << 20
"""Size from which a PNG is known by its bytes; a small picture of that size is mostly metadata."""
HEAD = struct.Struct(">8s4x4sIIBB")
"""Start of a PNG: signature, then the chunk IHDR with width, height, bits and kind of color."""
PLAIN = {(8, 0): ("L", 1), (8, 2): ("RGB", 3), (8, 6): ("RGBA", 4), (16, 0): ("I;16", 1)}
"""Bits and kind of color of the PNG files whose pixels an array holds as well -> Pillow's mode, and channels."""
USUAL = (1, 3)
"""Channels of square arrays that are known by their values alone: no two of their shapes have as many bytes."""


class Digests(NamedTuple):
    """Digests of a picture file, SHA-256 in hexadecimal."""

    content: str
    """Digest by which the picture is known."""
    file: str
    """Digest of the file's bytes where `content` is of its pixels, else empty."""


def digest_of_array(pixels: NDArray[Any]) -> str:
    """Return the SHA-256 of an array, (H, W) or (H, W, C) uint8 or uint16, in hexadecimal: of its values and shape."""
    values = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    height, width, *channels = pixels.shape
    return _digest(values, height, width, *(channels or (1,)))


def digest_of_picture(picture: Path | bytes | NDArray[Any]) -> str:
    """Return the digest by which a picture is known: a file, its bytes, or an array. Raises OSError."""
    if isinstance(picture, np.ndarray):
        return digest_of_array(picture)
    return digests_of_file(picture if isinstance(picture, bytes) else Path(picture).read_bytes()).content


def _digest(values: bytes, height: int, width: int, channels: int) -> str:
    """Return the SHA-256 of a picture's values, after its shape unless `USUAL` tells that from the number of bytes."""
    usual = height == width and channels in USUAL
    shape = b"" if usual else f"{height}x{width}x{channels}:{len(values)}:".encode()
    return hashlib.sha256(shape + values).hexdigest()


def digests_of_file(file: bytes, whole: str | None = None) -> Digests:
    """Return the digests of a picture file; `whole` is the SHA-256 of its bytes where that is known."""
    whole = whole or hashlib.sha256(file).hexdigest()
    pixels = _digest_of_pixels(file) if _is_small_png(file) else None
    return Digests(whole, "") if pixels is None else Digests(pixels, whole)


def _is_small_png(file: bytes) -> bool:
    """Return whether a file is a PNG of at most MOST_PIXELS pixels in a mode of PLAIN, as its start says."""
    if not HEAD.size <= len(file) < MOST_BYTES:
        return False
    signature, chunk, width, height, bits, color = HEAD.unpack_from(file)
    plain = signature == b"\x89PNG\r\n\x1a\n" and chunk == b"IHDR" and (bits, color) in PLAIN
    return plain and 0 < width * height <= MOST_PIXELS


def _digest_of_pixels(file: bytes) -> str | None:
    """Return the digest of a PNG's pixels as an array; None where it has more than an array, or is damaged."""
    try:
        with open_image(file) as image:
            # Transparency of single colors, an orientation and further frames are not in the pixels.
            if "transparency" in image.info or getattr(image, "is_animated", False) or orientation_of(image) != 1:
                return None
            image.load()
            channels = dict(PLAIN.values()).get(image.mode)
            return None if channels is None else _digest(image.tobytes(), image.height, image.width, channels)
    except Exception:  # a damaged file can raise nearly any error; its bytes are known all the same
        return None

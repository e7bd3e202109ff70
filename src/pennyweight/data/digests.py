"""Digests by which equal pictures are known: of the pixels of a small plain PNG and of an array, else of the file."""

from __future__ import annotations

import hashlib
import struct
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pennyweight.core.formats import open_image
from pennyweight.core.orientation import orientation_of

__all__ = ["MOST_BYTES", "MOST_PIXELS", "Digests", "digest_of_array", "digests_of_file"]

MOST_PIXELS = 1 << 16
"""Pixels, 256×256, up to which a PNG is decoded for its digest; that takes at most about 3 ms."""
MOST_BYTES = 1 << 20
"""Size from which a PNG is known by its bytes; a small picture of that size is mostly metadata."""
HEAD = struct.Struct(">8s4x4sIIBB")
"""Start of a PNG: signature, then the chunk IHDR with width, height, bits and kind of color."""
PLAIN = {(8, 0): "L", (8, 2): "RGB", (8, 6): "RGBA", (16, 0): "I;16"}
"""Bits and kind of color of the PNG files whose pixels an array holds as well -> Pillow's mode."""


class Digests(NamedTuple):
    """Digests of a picture file, SHA-256 in hexadecimal."""

    content: str
    """Digest by which the picture is known."""
    file: str
    """Digest of the file's bytes where `content` is of its pixels, else empty."""


def digest_of_array(pixels: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's values, (H, W) or (H, W, C) uint8 or uint16, in hexadecimal."""
    return hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()).hexdigest()


def digests_of_file(file: bytes, whole: str | None = None) -> Digests:
    """Return the digests of a picture file; `whole` is the SHA-256 of its bytes where that is known."""
    whole = whole or hashlib.sha256(file).hexdigest()
    pixels = _pixels_of(file) if _is_small_png(file) else None
    return Digests(whole, "") if pixels is None else Digests(hashlib.sha256(pixels).hexdigest(), whole)


def _is_small_png(file: bytes) -> bool:
    """Return whether a file is a PNG of at most MOST_PIXELS pixels in a mode of PLAIN, as its start says."""
    if not HEAD.size <= len(file) < MOST_BYTES:
        return False
    signature, chunk, width, height, bits, color = HEAD.unpack_from(file)
    plain = signature == b"\x89PNG\r\n\x1a\n" and chunk == b"IHDR" and (bits, color) in PLAIN
    return plain and 0 < width * height <= MOST_PIXELS


def _pixels_of(file: bytes) -> bytes | None:
    """Return the values of a PNG as an array holds them; None where it has more than an array, or is damaged."""
    try:
        with open_image(file) as image:
            # Transparency of single colors, an orientation and further frames are not in the pixels.
            if "transparency" in image.info or getattr(image, "is_animated", False) or orientation_of(image) != 1:
                return None
            image.load()
            return image.tobytes() if image.mode in PLAIN.values() else None
    except Exception:  # a damaged file can raise nearly any error; its bytes are known all the same
        return None

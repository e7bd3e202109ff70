"""Decode JPEGs at a reduced scale with the fastest installed decoder; every decoder gives the same bytes.

libjpeg-turbo decodes directly to 1/2, 1/4 or 1/8 by leaving out frequencies. Pillow and simplejpeg both use it and
agree to the bit at each scale (integer DCT, smooth upsampling). Scales differ in their bytes, so the scale is part of
`Preprocess`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from pennyweight.core.orientation import ON_SIDE, orientation_of

try:
    import simplejpeg
except ImportError:  # the extra `fast`
    simplejpeg = None

__all__ = ["SCALES", "Least", "decode_plain", "draft", "load", "require_few_scans", "undecoded_file"]

SCALES = (8, 4, 2, 1)
ALIKE = {"YCbCr": ("RGB", "RGB"), "Gray": ("L", "GRAY")}
"""Color space of a JPEG -> Pillow's mode and simplejpeg's name of it."""
MOST_SCANS = 100
"""Most scans of a progressive JPEG, which usually has about ten; libtiff's limit, too. A scan of a few bytes still
passes over all pixels."""
MOST_SCANNED = 1_600_000_000
"""Most pixels times scans; it lowers the limit on the scans of large pictures, to ENOUGH_SCANS at least."""
ENOUGH_SCANS = 20
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""Start of a segment; zeros and restart markers belong to the pixels."""
END, SCAN = 0xD9, 0xDA
PLAIN = {0xC0, 0xC1, 0xC4, 0xDB, 0xDD, 0xE0, 0xFE}
"""Segments of a JPEG without metadata: sequential frame, tables, JFIF and comment."""


def require_few_scans(image: Image.Image, file: bytes) -> None:
    """Raise ValueError for a JPEG with more scans than can be decoded in seconds."""
    if image.format not in ("JPEG", "MPO"):
        return
    pixels = image.width * image.height
    most = min(MOST_SCANS, max(ENOUGH_SCANS, MOST_SCANNED // max(pixels, 1)))
    if file.count(b"\xff\xda") > most and (scans := _scans(file)) > most:  # the count includes embedded thumbnails
        raise ValueError(f"it has {scans:,} scans of {pixels:,} pixels; {most} at most are decoded")


def _scans(file: bytes) -> int:
    """Return the number of scans between the start of a JPEG and its end marker."""
    scans, place = 0, 2
    while (found := MARKER.search(file, place)) and (kind := found[1][0]) != END:
        scans += kind == SCAN
        place = found.end() + int.from_bytes(file[found.end() : found.end() + 2])
    return scans


class Least(NamedTuple):
    """Smallest size to decode, as an upright picture has it: both sides, or `either` of them, must reach it."""

    height: int
    width: int
    either: bool = False

    def reached(self, height: int, width: int) -> bool:
        """Return whether an upright picture of this size is large enough."""
        return (any if self.either else all)((height >= self.height, width >= self.width))


def draft(image: Image.Image, least: int | Least | None) -> None:
    """Set an opened JPEG to the smallest scale that reaches `least`; a number is the least short side."""
    if image.format not in ("JPEG", "MPO") or not least:
        return
    least = Least(least, least) if isinstance(least, int) else least
    width, height = image.size
    if least.height != least.width and orientation_of(image) in ON_SIDE:
        width, height = height, width
    scale = next((scale for scale in SCALES if least.reached(height // scale, width // scale)), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))


def decode_plain(file: bytes, shape: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """Decode a JPEG that has just this shape (H, W, C), with the bytes that `load` gives.

    Opening a thumbnail by Pillow takes ten times as long as decoding it.

    Args:
        file: Bytes of a file.
        shape: Its shape; 1 channel is gray, 3 are RGB.

    Returns:
        The pixels; None for any other file: of another shape, with metadata, progressive, damaged, or no JPEG.
    """
    if simplejpeg is None or not file.startswith(b"\xff\xd8\xff") or not _is_plain(file):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(file)
        mode, colors = ALIKE.get(space, (None, ""))
        if (height, width, len(mode or "")) != shape:
            return None
        pixels: np.ndarray[Any, np.dtype[np.uint8]] = simplejpeg.decode_jpeg(
            file, colors, fastdct=False, fastupsample=False
        )
    except ValueError:
        return None
    return pixels


def _is_plain(file: bytes) -> bool:
    """Return True for a JPEG with one scan and no metadata before it, which Pillow would read."""
    place = 2
    while place + 4 <= len(file) and file[place] == 0xFF and file[place + 1] in PLAIN:
        place += 2 + int.from_bytes(file[place + 2 : place + 4])
    return file[place : place + 2] == b"\xff\xda" and file.count(b"\xff\xda") == 1


def undecoded_file(image: Image.Image) -> bytes | None:
    """Return the file of a JPEG that Pillow has opened but not decoded, to decode it here; None for other images."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO"):
        return None
    if not image.tile or image.fp is None or image.decoderconfig:  # decoderconfig: the user has set a scale
        return None
    place = image.fp.tell()
    image.fp.seek(0)
    file: bytes = image.fp.read()
    image.fp.seek(place)
    return file


def load(image: Image.Image, file: bytes) -> Image.Image:
    """Decode the opened `image` from the bytes `file`: by simplejpeg, or by Pillow if simplejpeg fails."""
    if simplejpeg is not None and image.format in ("JPEG", "MPO"):
        pixels = _decode_fast(image, file)
        if pixels is not None:
            return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.load()
    return image


def _decode_fast(image: Image.Image, file: bytes) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """Decode pixels by simplejpeg; return None for a JPEG that it reads differently from Pillow."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(file)
        mode, colors = ALIKE.get(space, (None, ""))
        if mode != image.mode:
            return None
        whole = (width, height) == image.size
        pixels: np.ndarray[Any, np.dtype[np.uint8]] = simplejpeg.decode_jpeg(
            file,
            colors,
            fastdct=False,
            fastupsample=False,
            min_height=0 if whole else image.height,
            min_width=0 if whole else image.width,
            min_factor=1,
        )
    except ValueError:  # it is stricter than Pillow
        return None
    return pixels if (pixels.shape[1], pixels.shape[0]) == image.size else None

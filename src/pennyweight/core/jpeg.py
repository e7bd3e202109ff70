"""JPEGs at a scale, by the quickest decoder that is installed: the bytes are the same whichever it is.

libjpeg-turbo decodes straight to 1/2, 1/4 or 1/8 by leaving out frequencies. Pillow and simplejpeg both stand on it,
and agree to the bit at one scale (integer DCT, smooth upsampling). At another scale the bytes are others, so the scale
is part of `Preprocess`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from PIL import Image, ImageFile

try:
    import simplejpeg
except ImportError:  # the extra `fast`
    simplejpeg = None

__all__ = ["SCALES", "draft", "load", "require_few_scans", "unread"]

SCALES = (8, 4, 2, 1)
ALIKE = {"YCbCr": ("RGB", "RGB"), "Gray": ("L", "GRAY")}
"""What a JPEG holds -> the mode in which Pillow opens it, and what simplejpeg calls that."""
MOST_SCANS = 100
"""Of a progressive JPEG, which has ten or so; libtiff's limit too. Each goes over all pixels, however few its bytes."""
MOST_SCANNED = 1_600_000_000
"""Pixels times scans, from which on fewer scans are decoded; never fewer than ENOUGH_SCANS."""
ENOUGH_SCANS = 20
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""What begins a segment; zeros and restarts belong to the pixels."""
END, SCAN = 0xD9, 0xDA


def require_few_scans(image: Image.Image, file: bytes) -> None:
    """Raise ValueError for a JPEG whose scans would take minutes: a small file may hold thousands."""
    if image.format not in ("JPEG", "MPO"):
        return
    pixels = image.width * image.height
    most = min(MOST_SCANS, max(ENOUGH_SCANS, MOST_SCANNED // max(pixels, 1)))
    if file.count(b"\xff\xda") > most and (scans := _scans(file)) > most:  # thumbnails have some too
        raise ValueError(f"it has {scans:,} scans of {pixels:,} pixels; {most} are the most that are decoded")


def _scans(file: bytes) -> int:
    """Return how many scans stand between the beginning of a JPEG and its end."""
    scans, place = 0, 2
    while (found := MARKER.search(file, place)) and (kind := found[1][0]) != END:
        scans += kind == SCAN
        place = found.end() + int.from_bytes(file[found.end() : found.end() + 2])
    return scans


def draft(image: Image.Image, least: int | None) -> None:
    """Have an opened JPEG decoded at the smallest scale that leaves its short side at least `least` pixels."""
    if image.format in ("JPEG", "MPO") and least:
        scale = next((scale for scale in SCALES if min(image.size) // scale >= least), 1)
        if scale > 1:
            image.draft(None, (image.width // scale, image.height // scale))


def unread(image: Image.Image) -> bytes | None:
    """The file of a JPEG that was opened and not yet decoded, so that it is decoded as every file is; else None."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO"):
        return None
    if not image.tile or image.fp is None or image.decoderconfig:  # the last: another scale was asked for
        return None
    place = image.fp.tell()
    image.fp.seek(0)
    file: bytes = image.fp.read()
    image.fp.seek(place)
    return file


def load(image: Image.Image, file: bytes) -> Image.Image:
    """The opened `image` with its pixels, read from `file`; what the quick decoder refuses is Pillow's to judge."""
    if simplejpeg is not None and image.format in ("JPEG", "MPO"):
        pixels = _quick(image, file)
        if pixels is not None:
            return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.load()
    return image


def _quick(image: Image.Image, file: bytes) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """The pixels by simplejpeg, or None for what it does not read as Pillow does."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(file)
        mode, colours = ALIKE.get(space, (None, ""))
        if mode != image.mode:
            return None
        whole = (width, height) == image.size
        pixels: np.ndarray[Any, np.dtype[np.uint8]] = simplejpeg.decode_jpeg(
            file,
            colours,
            fastdct=False,
            fastupsample=False,
            min_height=0 if whole else image.height,
            min_width=0 if whole else image.width,
            min_factor=1,
        )
    except ValueError:  # it is strict: also about what Pillow forgives
        return None
    return pixels if (pixels.shape[1], pixels.shape[0]) == image.size else None

"""EXIF metadata of pictures: tags by name, and times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from pennyweight.core.files import require_file
from pennyweight.core.formats import open_image

__all__ = ["TAGS", "TIMES", "exif_of", "parse_time", "read_tags", "tags_of"]

TAGS: Mapping[int, str] = {tag.value: tag.name for tag in ExifTags.Base}
"""Number of an EXIF tag -> its name, such as "Model"."""
TIMES = ("DateTimeOriginal", "DateTimeDigitized", "DateTime")
"""Tags whose values are times; the first is the moment of exposure."""
TIME = re.compile(r"\s*(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T]+(\d\d):(\d\d):(\d\d)")
LONGEST = 200
"""Characters of a value that are kept; tags such as MakerNote hold kilobytes."""
LATE_METADATA = (b"eXIf", b"iTXt", b"zTXt", b"tEXt")
"""Chunks of a PNG that may hold EXIF or XMP."""


def exif_of(image: Image.Image) -> Image.Exif:
    """Return the EXIF metadata of an opened picture; a PNG is decoded only if metadata follows its pixels."""
    if isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info and not _ends_with_metadata(image):
        return Image.Image.getexif(image)
    return image.getexif()


def tags_of(image: Image.Image) -> dict[str, str]:
    """Return the EXIF tags of an opened picture as texts, by name; empty if the metadata is missing or damaged."""
    try:
        exif = exif_of(image)
        values = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)} if exif else {}
    except Exception:  # damaged metadata raises nearly anything, and the pixels may be whole
        return {}
    texts = {TAGS[tag]: _as_text(value) for tag, value in values.items() if tag in TAGS}
    return {name: text for name, text in texts.items() if text}


def read_tags(picture: Path | bytes) -> dict[str, str]:
    """Return the EXIF tags of a picture file, given by its path or its bytes; empty for a file that cannot be read."""
    try:
        if isinstance(picture, Path):
            require_file(picture)
        with open_image(picture) as image:
            return tags_of(image)
    except Exception:  # the decoding pass reports unreadable files
        return {}


def parse_time(text: str) -> datetime | None:
    """Return the time of an EXIF value such as "2024:05:01 12:30:00"; None for zeros, blanks and other texts."""
    found = TIME.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:  # cameras without a set clock write 0000:00:00 00:00:00
        return None


def _as_text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return " ".join(text[:LONGEST].replace("\0", " ").split())


def _ends_with_metadata(image: PngImagePlugin.PngImageFile) -> bool:
    """Return whether a chunk with metadata follows the pixels of an opened PNG, whose place in its file is kept."""
    stream = image.fp
    if stream is None or stream.closed:  # it is decoded already
        return True
    place = stream.tell()
    try:
        stream.seek(8)
        pixels = False
        while len(start := stream.read(8)) == 8 and start[4:] != b"IEND":
            pixels |= start[4:] == b"IDAT"
            if pixels and start[4:] in LATE_METADATA:
                return True
            stream.seek(int.from_bytes(start[:4]) + 4, 1)
        return False
    finally:
        stream.seek(place)

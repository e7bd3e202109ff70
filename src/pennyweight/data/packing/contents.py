"""Picture files as a pack stores them: unchanged, or with a smaller short side."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pennyweight.core.errors import ImageError
from pennyweight.core.images import Picture, decode, header
from pennyweight.data.source import Sample

__all__ = ["content_of", "encoded", "ending_of", "shrunk"]

QUALITY = 92
"""JPEG quality of pictures that are made smaller."""
JPEG, PNG = ("JPEG", "MPO"), "PNG"


def content_of(sample: Sample, resize: int | None) -> bytes:
    """Return the picture file of a sample as a pack stores it."""
    return shrunk(encoded(sample.read()), resize, sample.name)


def shrunk(content: bytes, resize: int | None, name: str) -> bytes:
    """Return a picture file whose short side has at most `resize` pixels; a smaller picture is unchanged.

    JPEG stays JPEG, at quality 92; other 8-bit pictures become PNG. Pictures of 16 bits or many bands, and files that
    cannot be read, are unchanged.
    """
    if resize is None:
        return content
    try:
        found = header(content, name=name)
        if min(found.height, found.width) <= resize or found.wide or found.banded:
            return content
        picture = decode(content, channels=found.bands, least=resize, name=name)
    except ImageError:
        return content
    scale = resize / min(picture.size)
    size = (max(resize, round(picture.width * scale)), max(resize, round(picture.height * scale)))
    file = io.BytesIO()
    small = picture.resize(size, Image.Resampling.LANCZOS)
    if found.format in JPEG:
        small.save(file, "JPEG", quality=QUALITY, subsampling=0)
    else:
        small.save(file, PNG)
    return file.getvalue()


def ending_of(samples: Iterable[Sample], first: Iterable[bytes]) -> str:
    """Return the extension of most pictures; those of paths count by their names, others by their first contents."""
    named = Counter(
        sample.picture.suffix.lower().replace(".jpeg", ".jpg")
        for sample in samples
        if isinstance(sample.picture, Path) and sample.picture.suffix
    )
    if named:
        return named.most_common(1)[0][0].removeprefix(".")
    kinds = Counter(filter(None, map(_format, first)))
    kind = kinds.most_common(1)[0][0] if kinds else "JPEG"
    return {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}.get(kind, kind.lower())


def _format(content: bytes) -> str | None:
    try:
        return header(content).format
    except ImageError:
        return None


def encoded(picture: Picture) -> bytes:
    """Return a picture as the bytes of a file: an array as PNG, or as .npy for many bands or 16-bit colors."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, np.ndarray):
        file = io.BytesIO()
        plain = picture.ndim == 2 or picture.shape[2] in (1, 3, 4)
        if plain and (picture.dtype == np.uint8 or picture.ndim == 2):
            Image.fromarray(picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture).save(file, PNG)
        else:
            np.save(file, picture)
        return file.getvalue()
    assert isinstance(picture, Path)
    return picture.read_bytes()

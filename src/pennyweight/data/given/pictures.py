"""Single pictures as programs pass them: paths, bytes, arrays and Pillow images, as Sample keeps them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ImageError, PennyweightError, SourceError, received
from pennyweight.core.files import expanded
from pennyweight.core.images import decode
from pennyweight.core.jpeg import undecoded_file
from pennyweight.core.orientation import orientation_of
from pennyweight.core.picture_content import path_of, picture_content
from pennyweight.core.reading import reading
from pennyweight.core.tensors import array_line, is_foreign_array
from pennyweight.data.readers.npz import channels_come_first
from pennyweight.data.source import Stored

__all__ = ["MISSING", "FileBytes", "Kept", "as_picture", "content_of"]

Kept = Path | NDArray[np.uint8] | NDArray[np.uint16] | Stored
"""Picture as Sample has it."""
PLAIN = ("L", "RGB", "I;16")
"""Pillow's modes that an array holds as well."""
LOSSLESS = ("1", "LA", "RGBA", "P")
"""Further modes that a PNG holds unchanged."""
MISSING = ("nan", "<NA>", "NaT")
"""Missing values of numpy and pandas, of which some raise where they are compared."""
KINDS = "a path, an open file or its bytes, an array or a Pillow image"


@dataclass(frozen=True, slots=True)
class FileBytes:
    """Picture file in memory."""

    content: bytes

    def read(self) -> bytes:
        """Return the bytes of the picture file."""
        return self.content


def as_picture(value: Any, where: str, folder: Path) -> Kept:
    """Return a picture as Sample has it; a relative path starts at `folder`. Raises SourceError with the place."""
    if isinstance(value, Mapping) and ("bytes" in value or "path" in value):  # as Hugging Face's tables have it
        value = value.get("bytes") or value.get("path")
    if isinstance(value, (bytes, bytearray, memoryview)) and len(value):
        return FileBytes(bytes(value))
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        with _of_source():
            return folder / expanded(path_of(value, where) if isinstance(value, str) else value)
    if isinstance(value, Image.Image):
        return _of_image(value, where)
    if isinstance(value, np.ndarray):
        return _of_array(value, where)
    if is_foreign_array(value):
        raise SourceError(
            f"{where} is a {type(value).__name__} of shape {tuple(value.shape)}; a picture is a uint8 array with the "
            f"channels last: {array_line(value)}"
        )
    if hasattr(value, "read"):
        return FileBytes(_bytes_of_open_file(value, where))
    lack = "no picture" if value is None or str(value) in MISSING else received(value)
    raise SourceError(f"{where} is {lack}; a picture is {KINDS}")


def _bytes_of_open_file(file: Any, where: str) -> bytes:
    with _of_source():
        content = picture_content(file, where)
    assert isinstance(content, bytes)
    if not content:
        raise SourceError(f"{where} is an open file with nothing left to read; go back to its start: file.seek(0)")
    return content


@contextmanager
def _of_source() -> Iterator[None]:
    """Convert typed errors inside to SourceError."""
    try:
        yield
    except PennyweightError as error:
        raise SourceError(str(error)) from error


def content_of(get: Callable[[], Any], where: str) -> bytes | NDArray[Any]:
    """Return the picture that `get` gives as bytes or as an array. Raises ImageError with the place."""
    try:
        with reading(where, ImageError):
            found = as_picture(get(), where, Path.cwd())
            if isinstance(found, Path):
                return found.read_bytes()
            return found if isinstance(found, np.ndarray) else found.read()
    except SourceError as error:
        raise ImageError(f"cannot read {where}: {str(error).removeprefix(f'cannot read {where}: ')}") from error


def _of_image(image: Image.Image, where: str) -> Kept:
    """Return an image as its file where that is a JPEG that was not decoded yet, else as pixels or a PNG."""
    try:
        if (file := undecoded_file(image)) is not None:
            return FileBytes(file)
        if image.mode in PLAIN and orientation_of(image) == 1 and "transparency" not in image.info:
            return np.asarray(image)
        if image.mode not in LOSSLESS:
            return np.asarray(decode(image, name=where))
        content = io.BytesIO()
        image.save(content, "PNG", exif=image.getexif())
    except (PennyweightError, OSError, ValueError, SyntaxError) as error:
        raise SourceError(str(error) if where in str(error) else f"cannot read {where}: {error}") from error
    return FileBytes(content.getvalue())


def _of_array(array: NDArray[Any], where: str) -> Kept:
    if array.dtype not in (np.uint8, np.uint16):
        mend = "np.uint8(255 * x)" if array.dtype.kind == "f" else "x.astype(np.uint8)"
        raise SourceError(f"{where} is {array.dtype}; a picture array is uint8 or uint16: {mend}")
    if array.ndim == 3 and channels_come_first((1, *array.shape)):
        bands, height, width = array.shape
        raise SourceError(
            f"{where} has the shape {array.shape}, which would be {width} bands of {bands}×{height} pixels; if its "
            f"channels come first: x.transpose(1, 2, 0)"
        )
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise SourceError(f"{where} has the shape {array.shape}; a picture array is (H, W) or (H, W, C)")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native[..., 0] if native.ndim == 3 and native.shape[2] == 1 else native

"""Content of the pictures that a program passes: open files and buffers become bytes; other values are refused."""

from __future__ import annotations

import io
import os
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from PIL import Image

from pennyweight.core.errors import ImageError, InputError, received
from pennyweight.core.images import Picture
from pennyweight.core.reading import reason_of
from pennyweight.core.tensors import array_line, is_foreign_array

__all__ = ["AnyPicture", "is_one_picture", "name_of_picture", "path_of", "picture_content"]


class OpenFile(Protocol):
    """Binary file that is open for reading: the result of `open(path, "rb")`, a BytesIO or an upload's `.file`."""

    def read(self) -> bytes:
        """Return the bytes from the current position to the end."""
        ...


AnyPicture: TypeAlias = "Picture | bytearray | memoryview | OpenFile"
"""Picture as programs hold it."""
BUFFERS = (bytes, bytearray, memoryview)
KINDS = "paths, bytes, open files, uint8 arrays or Pillow images"


def is_one_picture(given: object) -> TypeGuard[AnyPicture]:
    """Return whether a value is a single picture, rather than several. Raises InputError for a tensor."""
    if is_foreign_array(given):
        raise InputError(_tensor(given, "this is", "images"))
    if isinstance(given, np.ndarray):
        return given.ndim != 4 and given.dtype.kind not in "OUS"
    return isinstance(given, (str, os.PathLike, *BUFFERS, Image.Image)) or hasattr(given, "read")


def name_of_picture(picture: object) -> str | None:
    """Return the path of a file, also of an open one; None for a picture without a name."""
    if isinstance(picture, (str, os.PathLike)):
        path = os.fsdecode(picture)
        return None if path.startswith("data:") else path  # a picture's content, which no message should hold
    name = None if isinstance(picture, (np.ndarray, Image.Image, *BUFFERS)) else getattr(picture, "name", None)
    return name if isinstance(name, str) and name else None


def picture_content(picture: Any, name: str = "the picture") -> Picture:
    """Return a picture as decoders take it: an open file or a buffer as bytes, anything else unchanged.

    Args:
        picture: Path, bytes, bytearray or memoryview, array, Pillow image, or a binary file with `read`, which is read
            from its current position to its end.
        name: Name of the picture in errors.

    Raises:
        InputError: A tensor, a file that gives text, or a value that is not a picture.
        ImageError: The file cannot be read, or a text is the address of another machine's file.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    if isinstance(picture, str):
        return path_of(picture, name)
    if isinstance(picture, (Path, np.ndarray, Image.Image)):
        return picture
    if isinstance(picture, os.PathLike):
        return Path(os.fsdecode(picture))
    if is_foreign_array(picture):
        raise InputError(_tensor(picture, f"{name} is", "x"))
    if not hasattr(picture, "read"):
        raise InputError(f"{name} is {received(picture)}; pictures are {KINDS}")
    return _read(picture, name)


def path_of(text: str, name: str) -> str | Path:
    """Return the path that a text is, also of file:///a/b.png. Raises ImageError for any other address, with advice."""
    scheme, colon, rest = text.partition(":")
    if scheme.lower() == "data" and ";base64," in rest[:200]:
        advice = "pass the bytes: base64.b64decode(text.partition(',')[2])"
        raise ImageError(f"{name} is a data address of {len(text):,} letters; {advice}")
    if not (colon and rest.startswith("//") and scheme.isalnum()):
        return text
    if scheme.lower() == "file":
        from urllib.parse import urlsplit
        from urllib.request import url2pathname  # brings the clients of HTTP, which no picture needs

        return Path(url2pathname(urlsplit(text).path))
    what = f"{text:.200} is an address" if name == text else f"{name} is the address {text:.200}"
    raise ImageError(f"{what}; download the file, or pass its bytes: urllib.request.urlopen(address).read()")


def _read(file: Any, name: str) -> bytes:
    if iscoroutinefunction(file.read):
        inner = "its .file" if hasattr(file, "file") else "the bytes of `await file.read()`"
        raise InputError(f"{name} is an asynchronous {type(file).__name__}; pass {inner}")
    if isinstance(file, io.TextIOBase):
        raise InputError(f"{name} is open as text, and a picture is binary: open(…, 'rb')")
    try:
        content = file.read()
    except Exception as error:  # a file of any kind, such as a member of a damaged archive, can raise nearly anything
        raise ImageError(f"cannot read {name}: {reason_of(error)}") from error
    if isawaitable(content):
        raise InputError(f"{name} is an asynchronous {type(file).__name__}; pass the bytes of `await file.read()`")
    if not isinstance(content, BUFFERS):
        what = "text" if isinstance(content, str) else type(content).__name__
        raise InputError(f"{name} gives {what}, and a picture is binary: open(…, 'rb')")
    return bytes(content)


def _tensor(value: Any, what: str, name: str) -> str:
    """Return the line against a tensor, called `name` in the expression that mends it."""
    return (
        f"{what} a {type(value).__name__} of shape {tuple(value.shape)}; pictures are uint8 arrays with the channels "
        f"last: {array_line(value, name)}"
    )

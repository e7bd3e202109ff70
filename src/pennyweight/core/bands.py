"""Pictures of many bands: `.npy` files, and TIFF files whose bands are not colors and transparency."""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.extras import install_command
from pennyweight.core.formats import too_many
from pennyweight.core.sixteen_bit import Levels, to_bytes

__all__ = ["EXTENSION", "Shape", "is_array", "is_tiff", "read", "reader", "shape", "values"]

EXTENSION = ".npy"
ARRAY_MAGIC = b"\x93NUMPY"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
"""Photometric interpretation of a TIFF -> its number of color samples: gray, RGB, palette, CMYK, YCbCr, Lab."""
TRANSPARENCY = (1, 2)
"""Values of TIFF's tag ExtraSamples for transparency."""
PLANAR = 2
"""TIFF's planar configuration, bands stored one after the other; Pillow misreads 16-bit ones as 8 bits."""
MAX_VALUES = 4
"""Values allowed for each pixel of the limit: 4 bands of the largest picture, or more bands of a smaller one."""

# tifffile logs every odd tag to standard error; an error names a file that cannot be read.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class Shape(NamedTuple):
    """Shape and type of a file's array, from its header."""

    shape: tuple[int, int, int]
    """(H, W, bands)."""
    format: str
    dtype: str
    more: bool = False
    """True if further pages follow."""


def reader() -> str:
    """Return the version of tifffile, which reads TIFF files of many bands.

    Returns:
        The version, such as "2026.1.1"; "none" if tifffile is not installed.
    """
    from importlib import metadata  # slow to import and rarely needed

    try:
        return metadata.version("tifffile")
    except metadata.PackageNotFoundError:
        return "none"


def is_array(file: bytes | Path) -> bool:
    """Return whether a file, or the start of a file, is a `.npy` file."""
    return _start(file).startswith(ARRAY_MAGIC)


def is_tiff(file: bytes | Path) -> bool:
    """Return whether a file, or the start of a file, is a TIFF file."""
    return _start(file).startswith(TIFF_MAGICS)


def shape(file: bytes | Path) -> Shape | None:
    """Read the header; None for a TIFF that Pillow reads. Raises ValueError for an array that is not a picture."""
    if is_array(file):
        with _stream(file) as stream:
            sides, dtype = _array_header(stream)
        return Shape(sides, "NPY", dtype.name)
    try:
        import tifffile
    except ImportError:
        return None
    with _stream(file) as stream, tifffile.TiffFile(stream) as tiff:
        page: Any = tiff.pages.first
        transparent = any(kind in TRANSPARENCY for kind in page.extrasamples)
        apart = page.planarconfig == PLANAR and page.samplesperpixel > 1 and page.bitspersample == 16
        if page.samplesperpixel == COLORS.get(page.photometric, 1) + transparent and not apart:
            return None
        sides = (page.imagelength, page.imagewidth, page.samplesperpixel)
        return Shape(sides, "TIFF", str(page.dtype), bool(tiff.pages.is_multipage))


def read(file: bytes, most_pixels: int, levels: Levels = ()) -> NDArray[np.uint8]:
    """Read the array (H, W, bands) of a `.npy` or TIFF file as uint8; `levels` map 16 bits to 8.

    Raises ValueError for other types of values, too many pixels or another kind of file, ImportError without tifffile.
    """
    array = values(file, most_pixels)
    return to_bytes(array, levels) if array.dtype == np.uint16 else array


def values(file: bytes, most_pixels: int) -> NDArray[Any]:
    """Read the stored values (H, W, bands), uint8 or uint16, of a `.npy` or TIFF file. Raises as `read` does."""
    if is_array(file):
        try:
            array = _array(file, most_pixels)
        except SystemError:  # Python 3.11 may lose count of its parser's depth where threads parse headers together
            array = _array(file, most_pixels)
    elif is_tiff(file):
        array = _tiff(file, most_pixels)
    else:
        raise ValueError("not a TIFF or .npy file, as pictures of many bands are")
    if array.dtype == ">u2":
        array = array.astype(np.uint16)
    return array if array.ndim == 3 else array[..., None]


def _array(file: bytes, most_pixels: int) -> NDArray[Any]:
    with _stream(file) as stream:
        sides, dtype = _array_header(stream)
        _limit(sides, most_pixels)
        _require_bytes(dtype)
        if len(file) - stream.tell() < math.prod(sides) * dtype.itemsize:
            raise ValueError("array file is truncated")
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _require_bytes(dtype: Any) -> None:
    """Raise ValueError for values other than uint8 and uint16, before memory is allocated for them."""
    if dtype is None or np.dtype(dtype).newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(f"its values are {dtype}; save them as uint8 or uint16")


def _tiff(file: bytes, most_pixels: int) -> NDArray[Any]:
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(f"TIFF files of many bands need tifffile; add it with: {install_command('bands')}") from error
    with _stream(file) as stream, tifffile.TiffFile(stream) as tiff:
        page: Any = tiff.pages.first
        _limit((page.imagelength, page.imagewidth, page.samplesperpixel), most_pixels)
        _require_bytes(page.dtype)
        array: NDArray[Any] = page.asarray(maxworkers=1)
        # tifffile puts planar bands on the first axis.
        planar = array.ndim == 3 and array.shape[0] == page.samplesperpixel and array.shape[2] == page.imagewidth
        return np.moveaxis(array, 0, -1) if planar and page.planarconfig == PLANAR else array


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        raise ValueError(f"array file of version {version}; 1.0 and 2.0 are read")
    sides, _, dtype = reader(stream)
    if len(sides) not in (2, 3) or 0 in sides or dtype.hasobject:
        raise ValueError(f"its array is {dtype} {sides}; pictures are (H, W) or (H, W, bands)")
    return (sides[0], sides[1], sides[2] if len(sides) == 3 else 1), dtype


def _limit(sides: tuple[int, int, int], most_pixels: int) -> None:
    if math.prod(sides) > MAX_VALUES * most_pixels:
        size, needed = "×".join(map(str, sides)), -(-math.prod(sides) // MAX_VALUES)
        raise ValueError(too_many(size, MAX_VALUES * most_pixels, needed, unit="values"))


def _start(file: bytes | Path) -> bytes:
    if isinstance(file, bytes):
        return file[:8]
    with file.open("rb") as stream:
        return stream.read(8)


def _stream(file: bytes | Path) -> IO[bytes]:
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")

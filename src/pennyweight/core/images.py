"""Decode picture files to pixels; modes, EXIF orientation and damaged files are handled here only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core import bands, jpeg, sixteen_bit
from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.files import require_file
from pennyweight.core.formats import ENDINGS, allow_pixels, open_image, too_many
from pennyweight.core.interruptible import interruptible
from pennyweight.core.jpeg import Least
from pennyweight.core.modes import MODES, from_array, is_wide_color, to_mode, wide_colors
from pennyweight.core.orientation import orientation_of, turn_upright
from pennyweight.core.picture_header import Header
from pennyweight.core.sixteen_bit import Levels

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "Header",
    "Picture",
    "Pixels",
    "decode",
    "decode_bands",
    "file_of",
    "header",
    "header_of",
    "wide_values",
]

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = "str | Path | bytes | NDArray[np.uint8] | NDArray[np.uint16] | Image.Image"
"""Path, bytes of a file, array (H, W) or (H, W, C) of uint8 or uint16, or Pillow image."""

EXTENSIONS = frozenset(ENDINGS)
MAX_PIXELS = 80_000_000
"""Default limit on the stored pixels of a picture, which --max-pixels raises; a JPEG that is decoded smaller counts in
full. At most three copies of four bytes a pixel are alive at once, which is less than 1 GiB."""
LONG_PIXELS = 8_000_000
"""Pixels from which decoding takes so long that Ctrl-C must be able to interrupt it."""
PACKED = ("JPEG", "MPO", "PNG", "GIF")
MOST_A_BYTE = 8256
"""Most pixels that a byte of the PACKED formats can hold: deflate expands a byte to 1,032 bytes of 8 two-color pixels
each, LZW to 2,560 pixels. A header that declares more is false, and would take a second to disprove."""
# Pillow warns of odd metadata, which is harmless, and of large sizes, which are checked here. The filter is set once
# for the process, because silencing a single call changes the warnings of every thread.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(
    picture: Picture,
    *,
    channels: int = 3,
    least: int | Least | None = None,
    name: str | None = None,
    levels: Levels = (),
    max_pixels: int | None = None,
) -> Image.Image:
    """Read a picture upright, as an 8-bit Pillow image in its stored size.

    EXIF orientation is applied. Palettes, CMYK and 16 bits become 8-bit. Transparency is laid on white unless
    `channels` is 4. Of an animation or of several pages, the first one is read.

    Args:
        picture: Path, bytes of a file, array or Pillow image.
        channels: 1 for gray, 3 for RGB, 4 for RGBA.
        least: Decode a JPEG at the smallest of 1, 1/2, 1/4 and 1/8 of its size whose short side has at least this many
            pixels, or that reaches this Least; None decodes the full size.
        name: Name of the picture in errors; by default its path.
        levels: Range of levels that 16-bit pictures map to 0..255.
        max_pixels: Largest number of pixels; by default MAX_PIXELS.

    Raises:
        ImageError: The picture cannot be read.
        InputError: Other `channels`, or an array that is not a picture.
    """
    if channels not in MODES:
        raise InputError(f"pictures are read with {', '.join(map(str, MODES))} channels, not {channels}")
    mode = MODES[channels]
    allow_pixels(max_pixels)
    if isinstance(picture, np.ndarray):
        return to_mode(from_array(picture, levels), mode, levels)
    name = _name(picture, name)
    with _naming(name):
        if isinstance(picture, Image.Image):
            undecoded = jpeg.undecoded_file(picture)
            if undecoded is None:
                picture.load()  # Pillow itself turns a TIFF upright here, and updates its orientation tag
                return to_mode(turn_upright(picture, orientation_of(picture)), mode, levels)
            picture = undecoded
        file = _whole(picture)
        if bands.is_array(file) or (bands.is_tiff(file) and bands.shape(file) is not None):
            array = bands.read(file, max_pixels or MAX_PIXELS, levels)
            return to_mode(_from_bands(array, channels), mode, levels)
        return to_mode(_decode_file(file, least, levels, max_pixels or MAX_PIXELS), mode, levels)


def _decode_file(file: bytes, least: int | Least | None, levels: Levels, most: int) -> Image.Image:
    """Decode the bytes of a file that Pillow reads, upright; 16-bit colors by `levels`, other modes unchanged."""
    with open_image(file) as image:
        _require_plausible(image, len(file))
        jpeg.require_few_scans(image, file)
        _limit(image.width, image.height, most)
        jpeg.draft(image, least)
        if image.mode == "F":  # before its four bytes a pixel are decoded
            raise ValueError("its pixels are floating-point numbers; save it as 8-bit or 16-bit")
        if image.mode == "I" and image.format == "TIFF":  # the mode "I" of a PGM means 16 bits
            raise ValueError("its pixels are 32-bit numbers with an unknown white; save it as 16-bit")
        if image.format == "TIFF" and sixteen_bit.is_planar(image):  # `decode` tries tifffile first
            raise ValueError("it stores 16-bit bands one after the other; such TIFF files need tifffile")
        wide_color = levels and is_wide_color(image)
        load = partial(wide_colors, image, file, levels) if wide_color else partial(jpeg.load, image, file)
        whole = interruptible(load) if image.width * image.height > LONG_PIXELS else load()
        return turn_upright(whole, orientation_of(image))


def decode_bands(
    picture: Picture,
    *,
    channels: int,
    least: int | Least | None = None,
    name: str | None = None,
    levels: Levels = (),
    max_pixels: int | None = None,
) -> tuple[Image.Image, ...]:
    """Read a picture of any number of bands: one Pillow image for 1, 3 or 4 channels, else a gray one for each band.

    Pictures of many bands are TIFF or `.npy` files or arrays (H, W, C).

    Args:
        picture: Path, bytes of a file, array or Pillow image.
        channels: Number of bands.
        least: Smallest size of a JPEG that is decoded at a scale, as in `decode`.
        name: Name of the picture in errors; by default its path.
        levels: Ranges of levels that 16-bit pictures map to 0..255.
        max_pixels: Largest number of pixels; by default MAX_PIXELS.

    Raises:
        ImageError: The picture cannot be read, or has another number of bands.
    """
    if channels in MODES:
        return (decode(picture, channels=channels, least=least, name=name, levels=levels, max_pixels=max_pixels),)
    name = _name(picture, name)
    with _naming(name):
        if isinstance(picture, (np.ndarray, Image.Image)):
            array = np.asarray(picture)
            array = sixteen_bit.to_bytes(array, levels) if array.dtype == np.uint16 else array
        else:
            array = bands.read(_whole(picture), max_pixels or MAX_PIXELS, levels)
    found = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or found != channels or array.size == 0:
        raise ImageError(
            f"cannot read {name}: it has {found} bands of {array.dtype}, and {channels} of uint8 are needed"
        )
    return tuple(Image.fromarray(np.ascontiguousarray(array[..., band])) for band in range(channels))


def wide_values(
    picture: str | Path | bytes | NDArray[Any], *, name: str | None = None, max_pixels: int | None = None
) -> NDArray[np.uint16] | None:
    """Read the values of a 16-bit picture without its transparency, (pixels, bands); None for an 8-bit picture.

    Raises ImageError that names the file.
    """
    with _naming(_name(picture, name)):
        values = picture if isinstance(picture, np.ndarray) else _wide_values(_whole(picture), max_pixels or MAX_PIXELS)
        if values is None or values.dtype != np.uint16:
            return None
        return values.reshape(-1, values.shape[2] if values.ndim == 3 else 1)


def _wide_values(file: bytes, most: int) -> NDArray[Any] | None:
    if bands.is_array(file) or (bands.is_tiff(file) and bands.shape(file) is not None):
        return bands.values(file, most)
    with open_image(file) as image:
        _require_plausible(image, len(file))
        _limit(image.width, image.height, most)
        if is_wide_color(image):
            colors = sixteen_bit.split_bytes(image, file)
            return None if colors is None else colors[..., :3]
        if image.mode in sixteen_bit.GRAY and not (image.mode == "I" and image.format == "TIFF"):
            return np.clip(np.asarray(image).astype(np.int64), 0, sixteen_bit.WHITE).astype(np.uint16)
    return None


def header(picture: str | Path | bytes | NDArray[Any], *, name: str | None = None) -> Header:
    """Read the header of a picture, without decoding it. Raises ImageError."""
    if isinstance(picture, np.ndarray):
        height, width = picture.shape[:2]
        return Header(height, width, picture.shape[2] if picture.ndim == 3 else 1, "array", str(picture.dtype), 1)
    name = _name(picture, name)
    with _naming(name):
        start = picture if isinstance(picture, bytes) else Path(picture)
        if isinstance(start, Path):
            require_file(start)
        if bands.is_array(start) or bands.is_tiff(start):
            found = bands.shape(start)
            if found is not None:
                return Header(*found.shape, found.format, found.dtype, 1, found.more)
        with open_image(start) as image:
            return header_of(image)


def header_of(image: Image.Image) -> Header:
    """Return the header of an opened picture."""
    gray = image.mode in ("1", "L", "LA", *sixteen_bit.GRAY)
    count = 1 if gray else 4 if image.mode in ("RGBA", "PA") else 3
    mode = f"{image.mode};16" if is_wide_color(image) else image.mode
    return Header(image.height, image.width, count, str(image.format), mode, orientation_of(image), _has_more(image))


def file_of(picture: str | Path | bytes, *, name: str | None = None) -> bytes:
    """Return the bytes of a picture file. Raises ImageError, `name` or the path in its message."""
    with _naming(_name(picture, name)):
        return _whole(picture)


def _name(picture: object, name: str | None) -> str:
    return name or (str(picture) if isinstance(picture, (str, Path)) else "the picture")


def _whole(picture: str | Path | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    require_file(picture)
    return Path(picture).read_bytes()


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Convert every error inside to an ImageError that names the picture."""
    try:
        yield
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {name}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder, not a picture") from error
    # A damaged file can raise nearly any error inside a decoder.
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).strip() or type(error).__name__
        raise ImageError(f"cannot read {name}: {reason.splitlines()[0]}") from error


def _has_more(image: Image.Image) -> bool:
    """Return whether further frames or pages follow; the second picture in a phone's MPO is derived from the first."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # the first frame may be whole
        return False


def _limit(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise ValueError(too_many(f"{width}×{height}", most, width * height))


def _require_plausible(image: Image.Image, file_bytes: int) -> None:
    if image.format in PACKED and image.width * image.height > MOST_A_BYTE * file_bytes:
        raise ValueError(f"{file_bytes:,} bytes cannot hold the {image.width}×{image.height} pixels of its header")


def _from_bands(array: Pixels, channels: int) -> Image.Image:
    if array.shape[2] not in MODES:
        raise ValueError(f"it has {array.shape[2]} bands, and {channels} are needed")
    return from_array(array)

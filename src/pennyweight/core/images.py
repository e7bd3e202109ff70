"""Picture files to pixels: the one place where modes, orientation and damaged files are handled."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pennyweight.core import bands, jpeg
from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.files import require_file

__all__ = ["EXTENSIONS", "MAX_PIXELS", "Header", "Picture", "Pixels", "decode", "decode_bands", "header"]

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = "str | Path | bytes | Pixels | Image.Image"
"""A path, the bytes of a file, an array (H, W) or (H, W, C) of uint8, or a Pillow image (opened or decoded)."""

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", bands.EXTENSION}
)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 80_000_000
"""Decoded pixels of one picture. Three copies of four bytes each, the most that are alive at once, stay below 1 GiB."""
PACKED = ("JPEG", "MPO", "PNG", "GIF")
MOST_A_BYTE = 8256
"""Pixels that a byte of those formats holds at most: deflate makes 1,032 bytes of one, and a byte is 8 pixels of two
colours; LZW makes 2,560 pixels of one. A header that says more lies, and would cost a second to find out."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
STRIP_ROWS = 256
# Pillow warns of odd metadata and large sizes: the first harms nothing, the second is checked here. Said once for the
# whole process, because what silences a single call changes every thread's warnings.
warnings.filterwarnings("ignore", module=r"PIL\.")
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what turns the picture upright; any other value is upright."""


class Header(NamedTuple):
    """What the header of a picture file says. Sizes in pixels as stored, before orientation."""

    height: int
    width: int
    bands: int
    """1 where it is grey, 3 where it has colours, 4 with transparency, more in files of many bands."""
    format: str
    """As Pillow calls it ("JPEG"), or "NPY"."""
    mode: str
    """Pillow's mode, such as "CMYK"; of many bands the type of their values."""
    orientation: int
    """The EXIF tag: 1 is upright."""
    more: bool = False
    """Whether others follow in the file, which are not read: of an animation, or pages."""

    @property
    def banded(self) -> bool:
        """Whether it has other bands than colours and transparency: those of arrays and of some TIFF files."""
        return self.bands not in (1, 3, 4) or (self.bands == 4 and self.mode.startswith("uint"))


def decode(picture: Picture, *, channels: int = 3, least: int | None = None, name: str | None = None) -> Image.Image:
    """Read a picture upright, as 8-bit grey (`channels` 1), RGB (3) or RGBA (4). Size as stored, after orientation.

    EXIF orientation is applied; transparency is laid on white where no channel holds it; palettes, CMYK and 16-bit grey
    become 8-bit; of an animation the first frame is taken. With `least`, a JPEG is decoded at the smallest of 1, 1/2,
    1/4 and 1/8 of its size that leaves its short side that long. Raises ImageError that names the file, as `name` if
    given.
    """
    if channels not in MODES:
        raise InputError(f"pictures are read with {', '.join(map(str, MODES))} channels, not {channels}")
    mode = MODES[channels]
    if isinstance(picture, np.ndarray):
        return _to_mode(_from_array(picture), mode)
    name = _name(picture, name)
    with _naming(name):
        if isinstance(picture, Image.Image):
            unread = jpeg.unread(picture)
            if unread is None:
                picture.load()  # Pillow turns a TIFF here itself, and only then does its tag say so
                return _to_mode(_turned(picture, _orientation(picture)), mode)
            picture = unread
        file = _whole(picture)
        if bands.is_array(file) or (bands.is_tiff(file) and bands.shape(file) is not None):
            return _to_mode(_from_bands(bands.read(file, MAX_PIXELS), channels), mode)
        with _open(file) as image:
            _believe(image, len(file))
            jpeg.draft(image, least)
            _limit(image.width, image.height)
            if image.mode == "I" and image.format == "TIFF":  # of a PGM it means 16 bits
                raise ValueError("its pixels are 32-bit numbers, of which none says which is white; save it as 16-bit")
            upright = _turned(jpeg.load(image, file), _orientation(image))
        return _to_mode(upright, mode)


def decode_bands(
    picture: Picture, *, channels: int, least: int | None = None, name: str | None = None
) -> tuple[Image.Image, ...]:
    """A picture as Pillow images that together have `channels` bands: one for 1, 3 or 4, else a grey one for each band.

    Pictures of many bands are TIFF or `.npy` files or arrays (H, W, C); of 16 bits the upper 8 are kept. Raises
    ImageError that names the file, also where it has another number of bands.
    """
    if channels in MODES:
        return (decode(picture, channels=channels, least=least, name=name),)
    name = _name(picture, name)
    if isinstance(picture, np.ndarray):
        array = picture
    else:
        with _naming(name):
            if isinstance(picture, Image.Image):
                array = np.asarray(picture)
            else:
                array = bands.read(_whole(picture), MAX_PIXELS)
    found = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or found != channels or array.size == 0:
        raise ImageError(
            f"cannot read {name}: it has {found} bands of {array.dtype}, and {channels} of uint8 are needed"
        )
    return tuple(Image.fromarray(np.ascontiguousarray(array[..., band])) for band in range(channels))


def header(picture: str | Path | bytes | Pixels, *, name: str | None = None) -> Header:
    """What a picture's header says; nothing is decoded. Raises ImageError."""
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
        with _open(start) as image:
            grey = image.mode in ("1", "L", "LA", *WIDE_MODES)
            count = 1 if grey else 4 if image.mode in ("RGBA", "PA") else 3
            turned, more = _orientation(image), _more(image)
            return Header(image.height, image.width, count, str(image.format), image.mode, turned, more)


def _name(picture: object, name: str | None) -> str:
    return name or (str(picture) if isinstance(picture, (str, Path)) else "the picture")


def _whole(picture: str | Path | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    require_file(picture)
    return Path(picture).read_bytes()


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes an ImageError that names the picture."""
    try:
        yield
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {name}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder, not a picture") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise ImageError(f"cannot read {name}: not a picture in a known format ({known})") from error
    # A damaged file can raise nearly anything inside a decoder; all of it means the same to the caller.
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).strip() or type(error).__name__
        raise ImageError(f"cannot read {name}: {reason.splitlines()[0]}") from error


def _open(file: bytes | Path) -> Image.Image:
    if not (len(file) if isinstance(file, bytes) else file.stat().st_size):
        raise ValueError("it is empty")
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; upright where the metadata is damaged, because the pixels need not be."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in UPRIGHT else 1


def _more(image: Image.Image) -> bool:
    try:
        # What phones put behind a photograph as MPO is made of it.
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # the first may be whole all the same
        return False


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _limit(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}×{height} pixels are more than the {MAX_PIXELS:,} allowed")


def _believe(image: Image.Image, file_bytes: int) -> None:
    if image.format in PACKED and image.width * image.height > MOST_A_BYTE * file_bytes:
        raise ValueError(f"{file_bytes:,} bytes cannot hold the {image.width}×{image.height} pixels of its header")


def _from_array(array: Pixels) -> Image.Image:
    planes = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in MODES)
    if array.dtype != np.uint8 or not planes or array.size == 0:
        raise InputError(
            "a picture array must be uint8 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"not {array.dtype} {array.shape}"
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _from_bands(array: Pixels, channels: int) -> Image.Image:
    if array.shape[2] not in MODES:
        raise ValueError(f"it has {array.shape[2]} bands, and {channels} are needed")
    return _from_array(array)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """To 8-bit grey, RGB or RGBA, without losing what transparency or 16 bits would lose by a plain conversion."""
    if image.mode in WIDE_MODES:
        image = _by_strips(image, "L", _upper_byte)
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it as 8-bit or 16-bit")
    if mode != "RGBA" and image.has_transparency_data:
        image = _by_strips(image, "RGB", _on_white)
    return image if image.mode == mode else image.convert(mode)


def _by_strips(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """`change` done to some rows at a time, so that its copies stay small."""
    changed = Image.new(mode, image.size)
    for top in range(0, image.height, STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + STRIP_ROWS, image.height)))
        changed.paste(change(strip), (0, top))
    return changed


def _upper_byte(image: Image.Image) -> Image.Image:
    # Pillow clips 16-bit to 255; keep the upper byte instead.
    wide = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return Image.fromarray((wide >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")

"""Picture files to pixels: the one place where modes, orientation and damaged files are handled."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pennyweight.core.errors import ImageError, InputError

__all__ = ["EXTENSIONS", "MAX_PIXELS", "Picture", "Pixels", "decode", "picture_size"]

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = "str | Path | bytes | Pixels | Image.Image"
"""A path, the bytes of a file, an array (H, W) or (H, W, C) of uint8, or a Pillow image."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 175_000_000  # Pillow itself refuses from 178,956,970
MODES = {1: "L", 3: "RGB"}


def decode(picture: Picture, *, channels: int = 3) -> Image.Image:
    """Read a picture upright, as 8-bit grey (`channels` 1) or RGB (3). Size as stored, after orientation.

    EXIF orientation is applied; transparency is laid on white; palettes, CMYK and 16-bit grey become
    8-bit; of an animation the first frame is taken. Raises ImageError that names the file.
    """
    name = str(picture) if isinstance(picture, (str, Path)) else "the picture"
    if channels not in MODES:
        raise InputError(f"pictures are read with 1 or 3 channels, not {channels}")
    if isinstance(picture, np.ndarray):
        return _to_mode(_from_array(picture), MODES[channels])
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and large sizes; the first harms nothing, the second is checked here.
            warnings.simplefilter("ignore")
            if isinstance(picture, Image.Image):
                return _to_mode(ImageOps.exif_transpose(picture), MODES[channels])
            with _open(picture, name) as image:
                image.load()
                return _to_mode(ImageOps.exif_transpose(image), MODES[channels])
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {name}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder, not a picture") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise ImageError(f"cannot read {name}: not a picture in a known format ({known})") from error
    # A damaged file can raise nearly anything inside a decoder; all of it means the same to the caller.
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise ImageError(f"cannot read {name}: {reason.splitlines()[0]}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture file as stored, from its header alone. Raises ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _open(path, str(path)) as image:
                return image.height, image.width
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"cannot read {path}: not a picture in a known format") from error


def _open(picture: str | Path | bytes, name: str) -> Image.Image:
    file = io.BytesIO(picture) if isinstance(picture, bytes) else picture
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ImageError(
            f"cannot read {name}: {image.width}×{image.height} pixels are more than the {MAX_PIXELS:,} allowed"
        )
    return image


def _from_array(array: Pixels) -> Image.Image:
    planes = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in MODES)
    if array.dtype != np.uint8 or not planes or array.size == 0:
        raise InputError(
            f"a picture array must be uint8 of shape (H, W), (H, W, 1) or (H, W, 3), not {array.dtype} {array.shape}"
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """To 8-bit grey or RGB, without losing what transparency or 16 bits would lose by a plain conversion."""
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        # Pillow clips 16-bit to 255; keep the upper byte instead.
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray((np.clip(wide, 0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it as 8-bit or 16-bit")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == mode else image.convert(mode)

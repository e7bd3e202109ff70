"""Convert pictures of any Pillow mode to 8-bit gray, RGB or RGBA."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core import sixteen_bit
from pennyweight.core.errors import InputError
from pennyweight.core.sixteen_bit import Levels

__all__ = ["MODES", "from_array", "is_wide_color", "to_mode", "wide_colors"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
STRIP_ROWS = 256


def is_wide_color(image: Image.Image) -> bool:
    """Return whether a picture has 16-bit colors."""
    return image.mode not in sixteen_bit.GRAY and sixteen_bit.is_wide(image)


def wide_colors(image: Image.Image, file: bytes, levels: Levels) -> Image.Image:
    """Convert 16-bit colors to 8 bits, by `levels`; transparency keeps its full range."""
    values = sixteen_bit.split_bytes(image, file)
    if values is None:
        raise ValueError("its 16-bit colors are multiplied by their transparency; save it without transparency")
    pixels = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), STRIP_ROWS):
        rows = np.s_[top : top + STRIP_ROWS]
        pixels[rows, :, :3] = sixteen_bit.to_bytes(values[rows, :, :3], levels)
        pixels[rows, :, 3:] = sixteen_bit.to_bytes(values[rows, :, 3:], ())
    return Image.fromarray(pixels)


def from_array(array: NDArray[Any], levels: Levels = ()) -> Image.Image:
    """Return an array (H, W) or (H, W, 1, 3 or 4), uint8 or uint16, as a Pillow image. Raises InputError."""
    array = sixteen_bit.to_bytes(array, levels) if array.dtype == np.uint16 else array
    planes = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in MODES)
    if array.dtype != np.uint8 or not planes or array.size == 0:
        raise InputError(
            "a picture array must be uint8 or uint16 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"not {array.dtype} {array.shape}"
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def to_mode(image: Image.Image, mode: str, levels: Levels) -> Image.Image:
    """Convert to 8-bit gray, RGB or RGBA; map 16 bits by `levels`, and lay transparency on white if `mode` lacks it."""
    if image.mode in sixteen_bit.GRAY:
        image = _by_strips(image, "L", partial(_narrowed, levels))
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it as 8-bit or 16-bit")
    if mode != "RGBA" and image.has_transparency_data:
        image = _by_strips(image, "RGB", _on_white)
    return image if image.mode == mode else image.convert(mode)


def _by_strips(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change` to STRIP_ROWS rows at a time, so that its copies stay small."""
    changed = Image.new(mode, image.size)
    for top in range(0, image.height, STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + STRIP_ROWS, image.height)))
        changed.paste(change(strip), (0, top))
    return changed


def _narrowed(levels: Levels, image: Image.Image) -> Image.Image:
    # Pillow clips 16-bit to 255.
    values = np.clip(np.asarray(image).astype(np.int64), 0, sixteen_bit.WHITE)
    return Image.fromarray(sixteen_bit.to_bytes(values, levels))


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")

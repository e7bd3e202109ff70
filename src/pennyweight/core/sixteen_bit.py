"""16-bit pictures: map a range of their 65,536 levels to the 256 levels of the network's input.

Cameras, microscopes and scanners of 10 to 14 bits leave most levels empty. `Levels` is the range that the training
pictures use, a (black, white) pair for all bands or a pair for each band. Lower values become 0, higher values 255.
Without pairs the range is 0 to 65,535 and the upper byte of each value is kept.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["GRAY", "WHITE", "Levels", "checked", "is_planar", "is_wide", "split_bytes", "to_bytes"]

Levels: TypeAlias = tuple[tuple[int, int], ...]
WHITE = 65535
GRAY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""Pillow's modes of 16-bit gray."""
COLORS = ("RGB", "RGBA")
"""8-bit modes in which Pillow opens 16-bit colors."""
BITS_TAG, PLANAR_TAG = 258, 284
"""TIFF tags: bits of each sample, and planar configuration (bands stored one after the other)."""


def checked(levels: Levels, channels: int) -> Levels:
    """Return levels as pairs of integers. Raises ValueError for a wrong number of pairs, or for an empty range."""
    pairs = tuple((int(black), int(white)) for black, white in levels)
    if len(pairs) not in (0, 1, channels) or not all(0 <= black < white <= WHITE for black, white in pairs):
        raise ValueError(
            f"levels are (black, white) pairs from 0 to {WHITE}, black below white, one for all or one for each of the "
            f"{channels} channels, not {levels}"
        )
    return pairs


def to_bytes(wide: NDArray[Any], levels: Levels) -> NDArray[np.uint8]:
    """Map 16-bit values to 0..255. (H, W) or (H, W, bands) uint16 -> the same shape, uint8."""
    if len(levels) < 2:
        return _table(*levels[0])[wide] if levels else (wide >> 8).astype(np.uint8)
    if wide.ndim != 3 or wide.shape[2] != len(levels):
        raise ValueError(f"it has {wide.shape[2] if wide.ndim == 3 else 1} bands, and {len(levels)} are needed")
    return np.stack([_table(*pair)[wide[..., band]] for band, pair in enumerate(levels)], axis=-1)


@lru_cache(maxsize=512)
def _table(black: int, white: int) -> NDArray[np.uint8]:
    """Return the byte of each 16-bit value, (65536,) uint8."""
    values = np.clip(np.arange(WHITE + 1), black, white) - black
    return ((values * 510 + (white - black)) // (2 * (white - black))).astype(np.uint8)


def is_wide(image: Image.Image) -> bool:
    """Return whether a picture's file has 16-bit values; Pillow's mode does not show this for colors."""
    return image.mode in GRAY or (image.mode in COLORS and _bits(image).endswith((";16B", ";16L", ";16N")))


def is_planar(image: Image.Image) -> bool:
    """Return whether an opened TIFF stores 16-bit bands one after the other, which Pillow misreads as 8 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    return tags.get(PLANAR_TAG) == 2 and max(tags.get(BITS_TAG, (8,))) == 16 and len(image.getbands()) > 1


def split_bytes(image: Image.Image, file: bytes) -> NDArray[np.uint16] | None:
    """Read all 16 bits of the colors of an opened picture, (H, W, 3 or 4); None for a layout that Pillow cannot read.

    Pillow keeps the upper byte of each value; with the byte order swapped, it keeps the lower byte.
    """
    bits = _bits(image)
    if bits.startswith("LA"):  # gray and transparency, read as four 8-bit bands
        gray, gray_low, alpha, alpha_low = np.moveaxis(_read(image, file, lambda bits: "RGBA"), -1, 0)
        upper, low = np.stack([gray] * 3 + [alpha], axis=-1), np.stack([gray_low] * 3 + [alpha_low], axis=-1)
    elif bits.startswith("RGBa"):  # colors multiplied by transparency, which Pillow divides in 8 bits
        return None
    else:
        upper, low = _read(image, file, str), _read(image, file, _other_order)
    values = upper.astype(np.uint16)
    values <<= np.uint16(8)
    values |= low
    return values


def _read(image: Image.Image, file: bytes, taken: Callable[[str], str]) -> NDArray[np.uint8]:
    """Read the picture again, with another raw mode of its decoder."""
    with Image.open(io.BytesIO(file), formats=[str(image.format)]) as again:
        again.tile = [tile._replace(args=_with(tile.args, taken)) for tile in again.tile]
        return np.asarray(again)


def _with(args: Any, taken: Callable[[str], str]) -> Any:
    return (taken(args[0]), *args[1:]) if isinstance(args, tuple) else taken(args)


def _other_order(bits: str) -> str:
    """Return the other byte order: "RGB;16B" -> "RGB;16L"."""
    return bits[:-1] + {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[bits[-1]]


def _bits(image: Image.Image) -> str:
    """Return the raw mode of Pillow's decoder for a file, such as "RGB;16B"; empty once it is decoded."""
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)

"""Frame: the size of a network's input, and the way a picture is fitted into it; sizes are (height, width)."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from math import isqrt
from typing import Any, Literal, NamedTuple, TypeAlias

from pennyweight.core.errors import InputError, received

__all__ = [
    "Frame",
    "Placed",
    "Sides",
    "Size",
    "as_size",
    "cover",
    "fit_within",
    "scale_of",
    "show_size",
    "side_of",
    "sides_of",
]

Frame = Literal["crop", "pad", "stretch"]
"""crop: the picture covers the input, and its middle is cut out. pad: the whole picture fits into the input, and one
color fills the rest. stretch: both sides of the picture become those of the input."""

Sides: TypeAlias = tuple[int, int]
"""(height, width)."""

Size: TypeAlias = "int | tuple[int, int]"
"""Side of a square, or (height, width)."""

TEXT = re.compile(r"\s*([0-9]+)\s*(?:[x×*,]\s*([0-9]+)\s*)?", re.IGNORECASE)


class Placed(NamedTuple):
    """Size of a resized picture, and the place of the input's corner in it, which is negative where it is padded."""

    height: int
    width: int
    top: int
    left: int


def as_size(value: Any, what: str = "input_size") -> Size:
    """Return a size: 224, (96, 384), "224" or "96x384", all of them height × width; a square as one number.

    Raises InputError, which calls the value `what`.
    """
    given: Any = value
    if isinstance(value, str):
        found = TEXT.fullmatch(value)
        given = [int(side) for side in found.groups() if side is not None] if found else None
    elif not isinstance(value, Sequence):
        given = [value]
    try:
        sides = tuple(map(operator.index, given)) if not any(isinstance(side, bool) for side in given) else ()
    except TypeError:
        sides = ()
    if len(sides) not in (1, 2):
        shown = f"'{value}'" if isinstance(value, str) else received(value)
        raise InputError(
            f"{what} is the side of a square in pixels, such as 224, or height x width, such as 96x384, not {shown}"
        )
    if min(sides) < 1:
        least = "at least 1 pixel per side"
        raise InputError(f"{what} needs {least}, not {'x'.join(map(str, sides))}")
    return sides[0] if sides[0] == sides[-1] else (sides[0], sides[1])


def sides_of(size: Size) -> Sides:
    """Return (height, width)."""
    return (size, size) if isinstance(size, int) else size


def side_of(size: Size) -> int:
    """Return the side of the square that has as many pixels."""
    return size if isinstance(size, int) else isqrt(size[0] * size[1])


def show_size(size: Size, times: str = "×") -> str:
    """Return "224" or "96×384"."""
    return str(size) if isinstance(size, int) else times.join(map(str, size))


def cover(picture: Sides, frame: Sides, window: Sides) -> Placed:
    """Place a picture that is resized until it covers `frame`, and of which the middle `window` is cut out.

    One side becomes that of the frame, the other is rounded down; offsets are rounded half to even, as by torchvision.
    """
    (high, wide), (height, width) = picture, frame
    if wide * height >= high * width:
        width = height * wide // high
    else:
        height = width * high // wide
    return Placed(height, width, round((height - window[0]) / 2), round((width - window[1]) / 2))


def scale_of(picture: Sides, window: Sides, frame: Frame) -> float:
    """Return the pixels of the input per pixel of a picture, along the side that loses most if it is stretched."""
    along = [new / old for new, old in zip(window, picture, strict=True)]
    return max(along) if frame == "crop" else min(along)


def fit_within(picture: Sides, frame: Sides) -> Placed:
    """Place a picture that is resized until it just fits into `frame`, in the middle.

    One side becomes that of the frame; the other is rounded down, and is at least 1. The upper and left borders are
    half of what is left, rounded down.
    """
    (high, wide), (height, width) = picture, frame
    if wide * height >= high * width:
        height = max(1, width * high // wide)
    else:
        width = max(1, height * wide // high)
    return Placed(height, width, -((frame[0] - height) // 2), -((frame[1] - width) // 2))

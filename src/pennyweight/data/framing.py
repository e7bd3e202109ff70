"""Framing: the shape of the input and the frame that suit pictures, by the shapes in their headers.

A square crop shows ordinary photographs well: of 3:2 it cuts away a third, at the edges. Of long pictures it cuts away
most. Long pictures that share a shape get an input of that shape, with as many pixels; others are padded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, exp, floor, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.frame import Frame, Size, as_size, sides_of
from pennyweight.core.preprocess import SMALLEST_WITH_MARGIN
from pennyweight.data.source import Sample

__all__ = ["MUCH", "Framing", "aspects_of", "cut_away", "cut_note", "cuts_much", "describe_cut", "suggest_framing"]

MUCH = 0.4
"""Share of a picture that is much to cut away: more than a square cuts from 3:2, and less than from 16:9."""
OFTEN = 1 / 4
"""Share of the pictures that must lose much before the square is given up."""
ALIKE, MOST = 0.15, 0.95
"""Pictures share a shape if an input of it cuts away at most ALIKE of the share MOST of them."""
NEARLY_SQUARE = 1.25
NEARLY_ALL = 0.995
"""Share that would be rounded to 100%."""
LONGEST = 24.0
"""Largest ratio of an input's sides."""
STEP, SMALL_STEP = 16, 8
"""Pixels of which the sides of a rectangle are multiples, for photographs and for small pictures."""
LEAST_SIDE = 32
"""Smallest side of a rectangle for photographs, which networks divide by 32."""
MOST_PIXELS = 224 * 224
"""Largest rectangle for small pictures, which keep their own scale."""
SPARE = {True: 1.1, False: 1.3}
"""Factor by which a rectangle may exceed its number of pixels, for photographs (True) and for small pictures."""
WEIGHT = 0.25
"""Weight of the number of pixels, against that of the shape, in the choice of a rectangle."""


class Framing(NamedTuple):
    """Size of an input, and the frame that fits pictures into it."""

    size: Size
    frame: Frame


def aspects_of(samples: Iterable[Sample]) -> NDArray[np.float64]:
    """Return width / height of the pictures whose headers were read, (n,)."""
    aspects = np.array([sample.aspect for sample in samples], np.float64)
    return aspects[aspects > 0]


def cut_away(aspects: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    """Return the share of each picture that a crop to an input of the shape of `size` cuts away. (n,) -> (n,)"""
    height, width = sides_of(size)
    ratio = aspects * height / width
    return 1 - np.minimum(ratio, 1 / ratio)


def suggest_framing(aspects: NDArray[np.float64], side: int, *, step: int = 1) -> Framing:
    """Return the input and the frame that suit pictures.

    Args:
        aspects: Width / height of the pictures, (n,).
        side: Side in pixels of the square that would suit their sizes. A rectangle has as many pixels; for small
            pictures, below 96, its short side is `side`, so that they keep their scale.
        step: Pixels of which both sides must be multiples, for a network that demands it.
    """
    square = Framing(side, "crop")
    if not cuts_much(aspects, side):
        return square
    shapes = np.log(aspects)
    own = _rectangle(exp(float(np.median(shapes))), aspects, side, step)
    if np.quantile(cut_away(aspects, own), MOST, method="lower") <= ALIKE:
        return Framing(own, "crop")
    middle = exp(float(np.mean(np.quantile(shapes, (0.1, 0.9), method="lower"))))
    shape = middle if max(middle, 1 / middle) > NEARLY_SQUARE else 1.0
    return Framing(_rectangle(shape, aspects, side, step), "pad")


def cuts_much(aspects: NDArray[np.float64], size: Size) -> bool:
    """Return whether a crop to this shape cuts away much of many pictures."""
    return bool(len(aspects)) and float(np.mean(cut_away(aspects, size) > MUCH)) >= OFTEN


def describe_cut(aspects: NDArray[np.float64], size: Size, by: str) -> str:
    """Return "a square would cut away 76% of the middle picture", which begins with `by`."""
    cut = cut_away(aspects, size)
    middle = float(np.quantile(cut, 0.5, method="lower"))  # of two halves, no mean that is true of neither
    if middle > MUCH:
        return f"{by} {f'{middle:.0%}' if middle < NEARLY_ALL else 'nearly all'} of the middle picture"
    return f"{by} more than {MUCH:.0%} of {np.mean(cut > MUCH):.0%} of the pictures"


def cut_note(aspects: NDArray[np.float64], framing: Framing, advice: str) -> str:
    """Return a line on much that a crop cuts away, of many pictures or of a few, with an advice; else an empty text."""
    if framing.frame != "crop":
        return ""
    if cuts_much(aspects, framing.size):
        return f"{describe_cut(aspects, framing.size, 'the crop cuts away')}; {advice}"
    lost = int((cut_away(aspects, framing.size) > 0.5).sum())
    if not lost:
        return ""
    lose = "loses" if lost == 1 else "lose"
    return f"{lost:,} of {len(aspects):,} pictures {lose} more than half to the crop; {advice}"


def _rectangle(shape: float, aspects: NDArray[np.float64], side: int, step: int) -> Size:
    """Return the sides, multiples of a step, that come nearest to a shape (width / height) and a number of pixels."""
    shape = min(LONGEST, max(1 / LONGEST, shape))
    large = side >= SMALLEST_WITH_MARGIN
    scale = float(side) if large else _own_scale(shape, aspects, side)
    step *= ceil((STEP if large else SMALL_STEP) / step)
    least = step * ceil((LEAST_SIDE if large else 1) / step)
    heights = _multiples(scale / sqrt(shape), step, least)
    pairs = {(h, w) for h in heights for of in (scale * sqrt(shape), h * shape) for w in _multiples(of, step, least)}
    fitting = [(h, w) for h, w in sorted(pairs) if h * w <= SPARE[large] * scale**2]

    def unlike(sides: Sequence[int]) -> float:
        height, width = sides
        return abs(log(width / height / shape)) + WEIGHT * abs(log(height * width / scale**2))

    return as_size(min(fitting or sorted(pairs), key=unlike))


def _own_scale(shape: float, aspects: NDArray[np.float64], side: int) -> float:
    """Return the root of the number of pixels in which the middle small picture has `side` as its short side."""
    width = np.minimum(sqrt(shape), aspects / sqrt(shape))
    short = float(np.median(np.minimum(width, width / aspects)))
    return min(sqrt(MOST_PIXELS), side / short)


def _multiples(length: float, step: int, least: int) -> tuple[int, int]:
    """Return the multiples of `step` around a length, `least` at least."""
    below, above = (turn(length / step) * step for turn in (floor, ceil))
    return max(least, below), max(least, above)

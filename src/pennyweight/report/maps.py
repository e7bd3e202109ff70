"""Maps of a scene as pictures: classes with their legend, errors, confidence. Drawn by Pillow, which a bundle needs.

The place where a class is widest carries its number, where that is wide enough; colours are told apart without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pennyweight.core.figures import number, share
from pennyweight.core.text import printable
from pennyweight.report import palette

__all__ = ["class_map", "confidence_map", "error_map"]

LONGER_SIDE = 640
"""Pixels that a small scene is enlarged to, by a whole number, so that each of its pixels stays a square."""
LARGEST = 2400
"""A larger scene is thinned out to this many."""
MARGIN, LINE, SWATCH = 16, 24, 18
FONT = 15
CONFIDENCE = ((20, 20, 70), (250, 240, 190))
"""From no confidence to all; lightness rises all the way."""


def class_map(
    classes: NDArray[np.integer], labels: Sequence[str], *, title: str, rest: str = "no numbers"
) -> Image.Image:
    """(H, W) indices into `labels`, all else called `rest` -> the map and its legend: colour, number, name, share."""
    valid = (classes >= 0) & (classes < len(labels))
    colours = np.array([palette.color_of(kind) for kind in range(len(labels))] + [palette.MASKED], np.uint8)
    kinds = np.where(valid, classes, len(labels))
    picture, scale = _sized(colours[kinds])
    draw = ImageDraw.Draw(picture)
    for kind in range(len(labels)):
        if (place := _deepest(kinds == kind, least=max(2, FONT // (2 * scale)))) is not None:
            _number(draw, kind, place, scale, picture.size, classes.shape)
    counts = np.bincount(kinds.ravel(), minlength=len(labels) + 1)
    rows = [
        (palette.color_of(kind), f"{kind + 1}", label, share(counts[kind] / kinds.size))
        for kind, label in enumerate(labels)
    ]
    if counts[-1]:
        rows.append((palette.MASKED, "", rest, share(counts[-1] / kinds.size)))
    return _with_legend(picture, rows, title)


def error_map(classes: NDArray[np.integer], truth: NDArray[np.integer], *, title: str) -> Image.Image:
    """(H, W) answers and truth (negative is unknown) -> where the answers are right, wrong, or not judged."""
    known, right = truth >= 0, classes == truth
    kinds = np.where(~known, 2, np.where(right, 0, 1))
    colours = (palette.RIGHT, palette.WRONG, palette.UNKNOWN)
    picture, _ = _sized(np.array(colours, np.uint8)[kinds])
    counts = np.bincount(kinds.ravel(), minlength=3)
    names = ("right", "wrong", "not judged")
    rows = [(colours[kind], "", names[kind], f"{number(int(counts[kind]))} pixels") for kind in range(3)]
    return _with_legend(picture, rows, title)


def confidence_map(confidence: NDArray[np.float32], *, title: str) -> Image.Image:
    """(H, W) probabilities of the answers -> dark where unsure, light where sure; 0 is no answer."""
    low, high = (np.array(colour, np.float32) for colour in CONFIDENCE)
    colours = (low + np.clip(confidence, 0, 1)[..., None] * (high - low)).round().astype(np.uint8)
    colours[confidence == 0] = palette.UNKNOWN
    picture, _ = _sized(colours)
    steps = (1.0, 0.75, 0.5, 0.25, 0.0)
    rows = [
        (tuple(int(value) for value in (low + step * (high - low)).round()), "", f"{step:.0%} sure", "")
        for step in steps
    ]
    if (confidence == 0).any():
        rows.append((palette.UNKNOWN, "", "no numbers", ""))
    return _with_legend(picture, rows, title)


def _sized(colours: NDArray[np.uint8]) -> tuple[Image.Image, int]:
    """(H, W, 3) as a picture, enlarged by a whole number or thinned out; and by how much it was enlarged."""
    height, width = colours.shape[:2]
    longer = max(height, width)
    if longer > LARGEST:
        step = -(-longer // LARGEST)
        return Image.fromarray(np.ascontiguousarray(colours[::step, ::step])), 1
    scale = max(1, LONGER_SIDE // longer)
    return Image.fromarray(colours).resize((width * scale, height * scale), Image.Resampling.NEAREST), scale


def _deepest(mask: NDArray[np.bool_], least: int) -> tuple[int, int] | None:
    """The pixel farthest inside (row, column), which peeling finds; None where `least` peels leave nothing."""
    last, peels = mask, 0
    while peels < max(mask.shape):
        inner = np.zeros_like(last)
        core = last[1:-1, 1:-1] & last[:-2, 1:-1] & last[2:, 1:-1] & last[1:-1, :-2] & last[1:-1, 2:]
        inner[1:-1, 1:-1] = core
        if not inner.any():
            break
        last, peels = inner, peels + 1
    if peels < least or not last.any():
        return None
    row, column = np.argwhere(last)[0]
    return int(row), int(column)


def _number(
    draw: ImageDraw.ImageDraw,
    kind: int,
    place: tuple[int, int],
    scale: int,
    size: tuple[int, int],
    shape: tuple[int, ...],
) -> None:
    """Write a class's number at a pixel of the scene, black or white as its colour asks."""
    row, column = place
    x, y = (column + 0.5) * size[0] / shape[1], (row + 0.5) * size[1] / shape[0]
    draw.text((x, y), f"{kind + 1}", fill=_ink(palette.color_of(kind)), font=_font(), anchor="mm")


def _ink(colour: Sequence[int]) -> tuple[int, int, int]:
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT)


def _with_legend(
    picture: Image.Image, rows: Sequence[tuple[tuple[int, ...], str, str, str]], title: str
) -> Image.Image:
    """The picture under its title, and beside it a row for each (colour, sign in it, name, figure)."""
    font = _font()
    title, rows = printable(title), [(colour, sign, printable(name), figure) for colour, sign, name, figure in rows]
    names = max(font.getlength(name) for _, _, name, _ in rows)
    figures = max(font.getlength(figure) for *_, figure in rows)
    legend = round(SWATCH + 8 + names + 16 + figures)
    top = 2 * MARGIN + FONT
    width = max(picture.width + 3 * MARGIN + legend, round(font.getlength(title)) + 2 * MARGIN)
    sheet = Image.new("RGB", (width, top + MARGIN + max(picture.height, LINE * len(rows))), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, fill=(0, 0, 0), font=font)
    sheet.paste(picture, (MARGIN, top))
    left = picture.width + 2 * MARGIN
    for place, (colour, sign, name, figure) in enumerate(rows):
        y = top + place * LINE
        draw.rectangle((left, y, left + SWATCH, y + SWATCH), fill=tuple(colour), outline=(90, 90, 90))
        middle = y + SWATCH / 2
        draw.text((left + SWATCH / 2, middle), sign, fill=_ink(colour), font=ImageFont.load_default(11), anchor="mm")
        draw.text((left + SWATCH + 8, middle), name, fill=(0, 0, 0), font=font, anchor="lm")
        draw.text((left + legend, middle), figure, fill=(0, 0, 0), font=font, anchor="rm")
    return sheet

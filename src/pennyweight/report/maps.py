"""Maps of a scene as pictures: classes, errors, confidence, each with its legend. Drawn by Pillow alone.

The place where a class is widest carries the number of the class, if it is wide enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pennyweight.core.figures import number, share
from pennyweight.core.text import printable
from pennyweight.report import palette

__all__ = ["LegendRow", "Map", "class_map", "confidence_map", "error_map"]

LONGER_SIDE = 640
"""Pixels that the longer side of a small scene is enlarged to, by a whole factor: each pixel stays a square."""
LARGEST = 2400
"""Most pixels of the longer side: of a larger scene, every second, third, … pixel is drawn."""
MARGIN, LINE, SWATCH = 16, 24, 18
FONT = 15
CONFIDENCE = ((20, 20, 70), (250, 240, 190))
"""Colors of probability 0 and 1; lightness rises between them."""


class LegendRow(NamedTuple):
    """Row of a legend: a color, the sign in its swatch, the name of what has this color, and a figure."""

    color: palette.RGB
    sign: str
    name: str
    figure: str


@dataclass(frozen=True)
class Map:
    """Picture of a scene and its legend, apart: a page sets the legend as text, a file has it drawn on the right."""

    picture: Image.Image
    legend: tuple[LegendRow, ...]

    def sheet(self, title: str) -> Image.Image:
        """Return one picture of the map under its title, with the legend on the right."""
        return _sheet(self, printable(title))


def class_map(classes: NDArray[np.integer], labels: Sequence[str], *, rest: str = "no data") -> Map:
    """Draw (H, W) indices into `labels`; every other value is called `rest`. The figures are shares of the pixels."""
    valid = (classes >= 0) & (classes < len(labels))
    colors = np.array([palette.color_of(kind) for kind in range(len(labels))] + [palette.MASKED], np.uint8)
    kinds = np.where(valid, classes, len(labels))
    picture, scale = _sized(colors[kinds])
    draw = ImageDraw.Draw(picture)
    for kind in range(len(labels)):
        if (place := _deepest(kinds == kind, least=max(2, FONT // (2 * scale)))) is not None:
            _number(draw, kind, place, picture.size, classes.shape)
    counts = np.bincount(kinds.ravel(), minlength=len(labels) + 1)
    rows = [
        LegendRow(palette.color_of(kind), f"{kind + 1}", label, share(counts[kind] / kinds.size))
        for kind, label in enumerate(labels)
    ]
    if counts[-1]:
        rows.append(LegendRow(palette.MASKED, "", rest, share(counts[-1] / kinds.size)))
    return Map(picture, tuple(rows))


def error_map(classes: NDArray[np.integer], truth: NDArray[np.integer]) -> Map:
    """Draw a map of correct and wrong predictions, and of pixels without ground truth.

    Args:
        classes: (H, W) predicted classes.
        truth: (H, W) true classes; negative where there is no ground truth.

    Returns:
        The map, with a legend of the three kinds and the number of pixels of each.
    """
    known, correct = truth >= 0, classes == truth
    kinds = np.where(~known, 2, np.where(correct, 0, 1))
    colors = (palette.RIGHT, palette.WRONG, palette.UNKNOWN)
    picture, _ = _sized(np.array(colors, np.uint8)[kinds])
    counts = np.bincount(kinds.ravel(), minlength=3)
    names = ("correct", "wrong", "no ground truth")
    rows = (LegendRow(colors[kind], "", names[kind], f"{number(int(counts[kind]))} pixels") for kind in range(3))
    return Map(picture, tuple(rows))


def confidence_map(confidence: NDArray[np.float32]) -> Map:
    """Draw (H, W) probabilities of the predicted classes, from dark (0) to light (1); exactly 0 means no data."""
    low, high = (np.array(color, np.float32) for color in CONFIDENCE)
    colors = (low + np.clip(confidence, 0, 1)[..., None] * (high - low)).round().astype(np.uint8)
    colors[confidence == 0] = palette.UNKNOWN
    picture, _ = _sized(colors)
    rows = []
    for step in (1.0, 0.75, 0.5, 0.25, 0.0):
        red, green, blue = (int(value) for value in (low + step * (high - low)).round())
        rows.append(LegendRow((red, green, blue), "", f"{step:.0%} confidence", ""))
    if (confidence == 0).any():
        rows.append(LegendRow(palette.UNKNOWN, "", "no data", ""))
    return Map(picture, tuple(rows))


def _sized(colors: NDArray[np.uint8]) -> tuple[Image.Image, int]:
    """Return (H, W, 3) as a picture, enlarged by a whole factor or subsampled, and the factor."""
    height, width = colors.shape[:2]
    longer = max(height, width)
    if longer > LARGEST:
        step = -(-longer // LARGEST)
        return Image.fromarray(np.ascontiguousarray(colors[::step, ::step])), 1
    scale = max(1, LONGER_SIDE // longer)
    return Image.fromarray(colors).resize((width * scale, height * scale), Image.Resampling.NEAREST), scale


def _deepest(mask: NDArray[np.bool_], least: int) -> tuple[int, int] | None:
    """Return the pixel (row, column) farthest inside `mask`; None where `least` peels of its border leave nothing."""
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
    draw: ImageDraw.ImageDraw, kind: int, place: tuple[int, int], size: tuple[int, int], shape: tuple[int, ...]
) -> None:
    """Write the number of a class at a pixel (row, column) of the scene of `shape`, on a picture of `size`."""
    row, column = place
    x, y = (column + 0.5) * size[0] / shape[1], (row + 0.5) * size[1] / shape[0]
    ink = palette.ink_on(palette.color_of(kind))
    draw.text((x, y), f"{kind + 1}", fill=ink, font=ImageFont.load_default(FONT), anchor="mm")


def _sheet(drawn: Map, title: str) -> Image.Image:
    font = ImageFont.load_default(FONT)
    rows = [row._replace(name=printable(row.name)) for row in drawn.legend]
    names = max(font.getlength(row.name) for row in rows)
    figures = max(font.getlength(row.figure) for row in rows)
    legend = round(SWATCH + 8 + names + 16 + figures)
    top = 2 * MARGIN + FONT
    width, height = drawn.picture.size
    across = max(width + 3 * MARGIN + legend, round(font.getlength(title)) + 2 * MARGIN)
    sheet = Image.new("RGB", (across, top + MARGIN + max(height, LINE * len(rows))), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, fill=(0, 0, 0), font=font)
    sheet.paste(drawn.picture, (MARGIN, top))
    left = width + 2 * MARGIN
    for place, row in enumerate(rows):
        y = top + place * LINE
        draw.rectangle((left, y, left + SWATCH, y + SWATCH), fill=row.color, outline=(90, 90, 90))
        middle, ink = y + SWATCH / 2, palette.ink_on(row.color)
        draw.text((left + SWATCH / 2, middle), row.sign, fill=ink, font=ImageFont.load_default(11), anchor="mm")
        draw.text((left + SWATCH + 8, middle), row.name, fill=(0, 0, 0), font=font, anchor="lm")
        draw.text((left + legend, middle), row.figure, fill=(0, 0, 0), font=font, anchor="rm")
    return sheet

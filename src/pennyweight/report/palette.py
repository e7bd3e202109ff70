"""Colors of plots and of classes on maps, chosen to stay apart for every kind of color vision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["CLASSES", "MASKED", "PLOT_COLORS", "RIGHT", "UNKNOWN", "WRONG", "PlotColor", "color_of", "ink_on"]

RGB = tuple[int, int, int]


class PlotColor(NamedTuple):
    """Color of a plot's part, as hexadecimal RGB: on a light card, and on a dark one."""

    name: str
    light: str
    dark: str


# Blue, vermilion and sky are Okabe and Ito's (2008). From pale to navy the levels of memory get farther from the
# processor, and stand out more against either card.
PALE = PlotColor("pale", "#9ad1f0", "#2f78ab")
SKY = PlotColor("sky", "#56b4e9", "#4899d1")
BLUE = PlotColor("blue", "#0072b2", "#6fc0f5")
NAVY = PlotColor("navy", "#1b2a63", "#d3eaff")
VERMILION = PlotColor("vermilion", "#d55e00", "#ff9147")
GRAY = PlotColor("gray", "#8c8c8c", "#8f959c")
MARK = PlotColor("mark", "#5b5b5b", "#b4b9bf")
GRID = PlotColor("grid", "#e4e4e4", "#363b41")
FRAME = PlotColor("frame", "#b0b0b0", "#595f67")
HEAT = PlotColor("heat", "#0b6fae", "#2a86cc")
PLOT_COLORS = (PALE, SKY, BLUE, NAVY, VERMILION, GRAY, MARK, GRID, FRAME, HEAT)

# Sixteen colors whose smallest difference in CIELAB is largest, for common vision and for Machado, Oliveira and
# Fernandes's (2009, doi:10.1109/TVCG.2009.113) simulations of protanopia, deuteranopia and tritanopia; a test measures
# it.
CLASSES: tuple[RGB, ...] = (
    (102, 119, 255),
    (255, 255, 51),
    (153, 0, 187),
    (17, 170, 119),
    (85, 0, 0),
    (170, 238, 221),
    (238, 85, 0),
    (0, 0, 119),
    (221, 187, 255),
    (119, 102, 51),
    (85, 255, 170),
    (85, 34, 85),
    (238, 204, 85),
    (34, 17, 221),
    (17, 102, 85),
    (221, 68, 170),
)
MASKED: RGB = (0, 0, 17)  # the seventeenth of the same search
UNKNOWN: RGB = (222, 222, 222)
RIGHT: RGB = (120, 160, 200)
WRONG: RGB = (190, 50, 0)


def color_of(number: int) -> RGB:
    """Return the color of class `number`; colors repeat from the seventeenth class on, which its number tells apart."""
    return CLASSES[number % len(CLASSES)]


def ink_on(color: Sequence[int]) -> RGB:
    """Return black or white: the color of text that can be read on `color`."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)

"""Colours for classes that stay apart, also for readers who do not see red, green or blue as others do."""

from __future__ import annotations

__all__ = ["CLASSES", "MASKED", "RIGHT", "UNKNOWN", "WRONG", "color_of"]

RGB = tuple[int, int, int]

# Sixteen colours whose smallest difference in CIELAB is largest, for common vision and for Machado, Oliveira and
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
    """The colour of class `number`; from the seventeenth on they come again, and the numbers on the map tell."""
    return CLASSES[number % len(CLASSES)]

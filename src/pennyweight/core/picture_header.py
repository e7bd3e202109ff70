"""Header of a picture file: its size, bands and mode, which are known before it is decoded."""

from __future__ import annotations

from typing import NamedTuple

from pennyweight.core import sixteen_bit
from pennyweight.core.orientation import ON_SIDE

__all__ = ["Header"]


class Header(NamedTuple):
    """Facts from the header of a picture file. Sizes are in pixels as stored, before orientation."""

    height: int
    width: int
    bands: int
    """1 for gray, 3 for colors, 4 with transparency, more in files of many bands."""
    format: str
    """Pillow's name of the format, such as "JPEG", or "NPY"."""
    mode: str
    """Pillow's mode, such as "CMYK", or "RGB;16" for 16-bit colors; of many bands the type of their values."""
    orientation: int
    """EXIF tag; 1 is upright."""
    more: bool = False
    """True if further frames or pages follow in the file, which are not read."""

    @property
    def upright(self) -> tuple[int, int]:
        """Return (height, width) as the picture is seen, after its orientation."""
        return (self.width, self.height) if self.orientation in ON_SIDE else (self.height, self.width)

    @property
    def wide(self) -> bool:
        """True if its values have 16 bits."""
        return self.mode in sixteen_bit.GRAY or self.mode.endswith(";16") or self.mode == "uint16"

    @property
    def banded(self) -> bool:
        """Return whether the bands are not gray, colors and transparency, as in arrays and some TIFF files."""
        return self.bands not in (1, 3, 4) or (self.bands == 4 and self.mode.startswith("uint"))

"""Facts of how a picture file was saved, from its header without decoding: size, format, compression, camera."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from pennyweight.core import bands
from pennyweight.core.errors import ImageError
from pennyweight.core.exif import parse_time, tags_of
from pennyweight.core.formats import open_image
from pennyweight.core.images import Header, header, header_of
from pennyweight.core.reading import reading

__all__ = ["Saved", "how_saved"]

LUMINANCE_SUM = 3688
"""Sum of the luminance quantization table of the JPEG standard, Annex K.1, which is quality 50."""
SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


class Saved(NamedTuple):
    """Facts of a picture file that no pixel shows; an array has a header alone."""

    header: Header
    file_bytes: int = 0
    """Size of the file; 0 for an array."""
    quality: float = 0.0
    """Quality 1 to 100 of libjpeg whose luminance table has the same sum; 0 for other formats."""
    layout: str = ""
    """Encoder settings as text: subsampling, progressive, resolution, color profile."""
    model: str = ""
    """EXIF Model."""
    make: str = ""
    """EXIF Make."""
    software: str = ""
    """EXIF Software."""
    taken: str = ""
    """EXIF DateTimeOriginal in ISO format; empty if missing or not a time."""

    @property
    def camera(self) -> str:
        """Return the camera as the header names it: its model, else its maker."""
        return self.model or self.make

    def sharing(self, once: dict[Any, Any]) -> Saved:
        """Return these facts made of the equal values in `once`, where new ones are added: that saves memory."""
        return Saved(*(once.setdefault((type(value), value), value) for value in self))


def how_saved(picture: bytes | NDArray[Any], *, name: str | None = None) -> Saved:
    """Read how a picture was saved. Raises ImageError for a header that cannot be read.

    Args:
        picture: Bytes of the file, or an array (H, W) or (H, W, C).
        name: Name of the picture in errors.
    """
    if isinstance(picture, np.ndarray):
        return Saved(header(picture))
    if bands.is_array(picture) or bands.is_tiff(picture):
        found = header(picture, name=name)
        if found.banded:
            return Saved(found, len(picture))
    with reading(name or "the picture", ImageError), open_image(picture) as image:
        found = header_of(image)
        tags = tags_of(image)
        taken = parse_time(tags.get("DateTimeOriginal", ""))
        return Saved(
            found,
            len(picture),
            _quality(image),
            _layout(image),
            tags.get("Model", ""),
            tags.get("Make", ""),
            tags.get("Software", ""),
            taken.isoformat() if taken else "",
        )


def _quality(image: Image.Image) -> float:
    """Return the libjpeg quality of a JPEG by its luminance table, to a tenth; 0 for other formats."""
    tables = getattr(image, "quantization", None)
    if not tables or image.format not in ("JPEG", "MPO"):
        return 0.0
    scale = 100 * sum(tables[min(tables)]) / LUMINANCE_SUM
    return round(5000 / scale if scale > 100 else (200 - scale) / 2, 1) if scale else 0.0


def _layout(image: Image.Image) -> str:
    """Return the encoder's settings that a header shows."""
    info = image.info
    resolution = info.get("dpi") or info.get("jfif_density")
    facts = [
        SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image), "") if image.format in ("JPEG", "MPO") else "",
        "progressive" if info.get("progressive") or info.get("progression") or info.get("interlace") else "",
        "×".join(f"{float(value):.0f}" for value in resolution) if resolution else "",
        f"profile of {len(info['icc_profile'])} bytes" if info.get("icc_profile") else "",
        str(info.get("compression", "")),
    ]
    return " ".join(filter(None, facts))

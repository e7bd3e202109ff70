"""Make gray thumbnails of pictures, which the search for twins compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ImageError
from pennyweight.core.images import Pixels, decode_bands
from pennyweight.core.machine import cores
from pennyweight.core.modes import to_mode
from pennyweight.core.prefetch import prefetch
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.source import Sample

__all__ = ["SIDE", "Thumbnails", "thumbnail_of", "thumbnails"]

SIDE = 32
LEAST = 2 * SIDE
"""Short side at which a JPEG is decoded at least, so that its thumbnail is that of the full size."""
AHEAD = 8
"""Pictures a thread that may wait, decoded, for an earlier one."""


class Thumbnails(NamedTuple):
    """Gray thumbnails of N pictures, in their order."""

    gray: NDArray[np.uint8]
    """(N, SIDE, SIDE); zeros for an unreadable picture."""
    readable: NDArray[np.bool_]
    """(N,)."""


def thumbnail_of(image: Image.Image) -> Pixels:
    """Return the gray thumbnail of an upright 8-bit Pillow image, (SIDE, SIDE) uint8; its shape is not kept."""
    return np.asarray(to_mode(image, "L", ()).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def thumbnails(
    samples: Sequence[Sample],
    *,
    channels: int,
    levels: Levels = (),
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Thumbnails:
    """Decode pictures, as for training, to gray thumbnails, a thread a core.

    Args:
        samples: N pictures.
        channels: Bands of a picture; the middle one of more than four makes the thumbnail.
        levels: Range of levels that 16-bit pictures map to 0..255.
        max_pixels: Largest picture that is read; by default 80 million pixels.
        advance: Called with 1 after each picture.

    Returns:
        Thumbnails; an unreadable picture is marked there, and raises nothing.
    """

    def make(sample: Sample) -> Pixels | None:
        try:
            bands = decode_bands(
                sample.read(), channels=channels, least=LEAST, name=sample.where, levels=levels, max_pixels=max_pixels
            )
        except (ImageError, OSError):
            return None
        return thumbnail_of(bands[len(bands) // 2])

    gray = np.zeros((len(samples), SIDE, SIDE), np.uint8)
    readable = np.zeros(len(samples), np.bool_)
    makes = (partial(make, sample) for sample in samples)
    for number, (one, _) in enumerate(prefetch(makes, AHEAD * cores(), threads=cores())):
        if one is not None:
            gray[number], readable[number] = one, True
        advance(1)
    return Thumbnails(gray, readable)

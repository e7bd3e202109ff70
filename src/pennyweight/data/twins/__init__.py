"""Twins: pictures that show the same moment, found by their gray thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.source import Sample
from pennyweight.data.twins.find import Twins, find_twins
from pennyweight.data.twins.thumbnails import SIDE, Thumbnails, thumbnail_of, thumbnails

__all__ = ["SIDE", "Thumbnails", "Twins", "find_twins", "thumbnail_of", "thumbnails", "twins_of"]


def twins_of(
    samples: Sequence[Sample],
    *,
    channels: int,
    levels: Levels = (),
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Twins:
    """Decode pictures and find the twins among them; arguments as in `thumbnails`. Unreadable pictures have none."""
    made = thumbnails(samples, channels=channels, levels=levels, max_pixels=max_pixels, advance=advance)
    return find_twins(made.gray)

"""Measure the range of levels that 16-bit pictures use, which `Preprocess` maps to 0..255."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError
from pennyweight.core.images import header, wide_values
from pennyweight.core.machine import cores
from pennyweight.core.sixteen_bit import WHITE, Levels
from pennyweight.data.readers.shard_index import Streamed
from pennyweight.data.source import Sample, Source

__all__ = ["UsedLevels", "measure_levels"]

LOOKED_AT = 500
"""Largest number of 16-bit pictures to read."""
PIXELS = 1 << 16
"""Approximate number of pixels to count in a picture; its darkest and brightest pixels always count."""
TAIL = 0.0005
"""Share of the counted pixels below black, and above white, before the range is widened."""
WHOLE = (WHITE + 1) // 2
"""Fewest levels for which pictures keep the upper byte, which then has at least 128 levels."""
TURN = 16


class UsedLevels(NamedTuple):
    """Range of levels that pictures use."""

    levels: Levels
    """(black, white) of each band; empty if the pictures use about the whole range."""
    note: str
    """Line for the user on the range."""


def measure_levels(source: Source, samples: Sequence[Sample], *, max_pixels: int | None = None) -> UsedLevels | None:
    """Measure the range of levels, black to white, that the 16-bit pictures among `samples` use.

    Black starts at the 0.05% quantile of the pixels, white at the 99.95% quantile. Then each moves outward to the
    extreme value, but by no more than the distance between the two quantiles. So dim details and small bright spots
    stay, and a defective pixel does not darken the picture. Gray, RGB and RGBA pictures have one range for all
    channels; pictures of many bands have one for each band.

    Args:
        source: The source of the samples.
        samples: The training samples; up to 500 of them are read, chosen by their contents.
        max_pixels: Largest picture to read; by default 80 million pixels.

    Returns:
        UsedLevels, the range and a note; None if there are no 16-bit pictures.
    """
    if not source.wide:
        return None
    counted = _Counts(1 if source.channels in (1, 3, 4) else source.channels)
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        pictures = islice(_wide_pictures(source, samples), LOOKED_AT)
        while turn := list(islice(pictures, TURN)):
            for values in pool.map(partial(_values, max_pixels=max_pixels), turn):
                if values is not None:
                    counted.add(values)
    if not counted.pictures:
        return None
    pairs = counted.pairs()
    seen = f"{counted.pictures:,} 16-bit training picture{'s' * (counted.pictures > 1)}"
    if all(white - black >= WHOLE for black, white in pairs):
        return UsedLevels((), f"{seen} use the whole range: the upper 8 bits are kept")
    low, high = min(black for black, _ in pairs), max(white for _, white in pairs)
    each = "" if len(pairs) == 1 else " (each band its own range)"
    return UsedLevels(pairs, f"{seen} use the levels {low:,} to {high:,} of {WHITE + 1:,}{each}: these become 0 to 255")


class _Counts:
    """Histogram of the levels of each band, with the extreme levels."""

    def __init__(self, bands: int) -> None:
        self.pictures = 0
        self._counts = np.zeros((bands, WHITE + 1), np.uint32)
        self._least = np.full(bands, WHITE)
        self._most = np.zeros(bands, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Count the values of a picture, (pixels, bands) uint16; another number of bands is ignored."""
        if len(self._counts) == 1:
            values = values.reshape(-1, 1)
        if values.shape[1] != len(self._counts):
            return
        self.pictures += 1
        subset = values[:: max(1, len(values) // PIXELS)]
        for band, counts in enumerate(self._counts):
            counts += np.bincount(subset[:, band], minlength=WHITE + 1).astype(np.uint32)
        self._least = np.minimum(self._least, values.min(0))
        self._most = np.maximum(self._most, values.max(0))

    def pairs(self) -> Levels:
        """Return (black, white) of each band; (0, 65535) for a band of a single value."""
        return tuple(
            self._pair(*row) for row in zip(self._counts, self._least.tolist(), self._most.tolist(), strict=True)
        )

    def _pair(self, counts: NDArray[np.uint32], least: int, most: int) -> tuple[int, int]:
        below = np.cumsum(counts, dtype=np.float64) / counts.sum(dtype=np.float64)
        low, high = (int(np.searchsorted(below, share)) for share in (TAIL, 1 - TAIL))
        span = max(high - low, 1)
        black, white = max(least, low - span), min(most, high + span)
        return (black, white) if black < white else (0, WHITE)


def _values(picture: Any, max_pixels: int | None) -> NDArray[Any] | None:
    try:
        return wide_values(picture, max_pixels=max_pixels)
    except ImageError:
        return None


def _wide_pictures(source: Source, samples: Sequence[Sample]) -> Iterator[Any]:
    """Yield the 16-bit pictures among `samples` in the order of their digests, or in that of their shards."""
    ordered = sorted(samples, key=lambda sample: sample.digest)
    if source.streamed:
        streamed = [sample.picture for sample in ordered if isinstance(sample.picture, Streamed)]
        index = streamed[0].index
        chosen = [one.number for one in streamed if index.is_wide(one.number)][:LOOKED_AT]
        yield from index.pictures(sorted(chosen))
        return
    for sample in ordered:
        picture = sample.read()
        try:
            wide = header(picture).wide
        except ImageError:
            continue
        if wide:
            yield picture

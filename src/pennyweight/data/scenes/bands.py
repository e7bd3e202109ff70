"""Choose the bands of a cube, and mask the pixels without data in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice, spell_bands
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import share
from pennyweight.data.scenes.rasters import Raster

__all__ = ["EVERY", "choose_bands", "mask_ignored"]

EVERY = "every"
"""Choice of runs before bands were chosen: every band, and a pixel with the ignored value in one band is masked."""
EMPTY_SHARE = 0.95
"""Least share of pixels without a number in a band that is left out, among the pixels that have one in some band."""
NOTED_SHARE = 0.01
"""Share from which a note names the band whose gaps mask pixels."""
ROWS = 64


def choose_bands(raster: Raster, asked: str | BandChoice | None = None, *, name: str = "the cube") -> Raster:
    """Return a cube with its chosen bands, and with NaN in every band of a pixel without data.

    A pixel is without data if a chosen band holds the ignored value. An ignored 0 can also be measured in a dark
    pixel, and must therefore fill all chosen bands.

    Args:
        raster: A cube as it was read.
        asked: Bands such as "1-129,136-224"; a network's choice; EVERY; None leaves out the bands that the header
            marks as bad, and those without numbers in nearly every pixel.
        name: Name of the scene in messages.

    Raises:
        InputError: `asked` names bands that the cube lacks.
        SourceError: No band is left, or a band that was asked for has no number anywhere.
    """
    total = raster.values.shape[2]
    if asked == EVERY:
        return replace(mask_ignored(raster, strict=True), choice=BandChoice.whole(total))
    gaps, pixels = _count_gaps(raster)
    notes = list(raster.notes)
    if asked is None:
        choice = _usual(raster, gaps, pixels, notes, name)
    else:
        choice = _asked(asked, total)
        if lost := [number for number in choice.numbers if pixels and gaps[number] == pixels]:
            raise SourceError(
                f"{name} has no number in band {spell_bands(lost)}, which was chosen; its other bands are "
                f"{spell_bands(np.flatnonzero(gaps < pixels).tolist())}"
            )
        if not choice.is_whole:
            notes.append(f"{len(choice.numbers)} of {total} bands were chosen: {choice}")
    worst = max(choice.numbers, key=lambda number: gaps[number])
    zero = raster.ignored == 0 and raster.values.dtype.kind != "f"
    if pixels and gaps[worst] > NOTED_SHARE * pixels and not zero:
        notes.append(
            f"band {worst + 1} has no number in {share(float(gaps[worst] / pixels))} of the pixels; --bands can leave "
            "it out"
        )
    chosen = replace(raster, values=choice.take(raster.values), notes=tuple(notes), choice=choice)
    return mask_ignored(chosen)


def _asked(asked: str | BandChoice, total: int) -> BandChoice:
    if isinstance(asked, str):
        return BandChoice.parse(asked, total)
    if asked.is_whole or total == len(asked.numbers):
        return BandChoice.whole(total)
    if total != asked.total:
        raise InputError(
            f"this network takes {len(asked.numbers)} of {asked.total} bands ({asked}): a cube has {asked.total} or "
            f"{len(asked.numbers)} bands, not {total}"
        )
    return asked


def _usual(raster: Raster, gaps: NDArray[np.int64], pixels: int, notes: list[str], name: str) -> BandChoice:
    """Leave out the bands that the header marks as bad, and the empty ones; add a note on each kind."""
    total = raster.values.shape[2]
    bad = set(raster.bad)
    empty = {number for number in range(total) if pixels and gaps[number] >= EMPTY_SHARE * pixels} - bad
    left = tuple(number for number in range(total) if number not in bad | empty)
    if not left:
        raise SourceError(f"{name} has no band left: its header marks {len(bad)} as bad, and {len(empty)} are empty")
    for numbers, reason in ((bad, "its header marks them as bad (bbl)"), (empty, "they have no numbers")):
        if numbers:
            notes.append(f"{len(numbers)} of {total} bands are left out ({spell_bands(sorted(numbers))}): {reason}")
    return BandChoice(left, total)


def mask_ignored(raster: Raster, *, strict: bool = False) -> Raster:
    """Put NaN into all bands of a pixel that has the ignored value; else the values stay as they are, maybe mapped.

    Args:
        raster: Values (H, W, bands).
        strict: Mask a pixel whose ignored value is 0 even if another band holds a number.
    """
    if raster.ignored is None:
        return raster
    values, dark = raster.values, 0
    empty = np.zeros(values.shape[:2], bool)
    for rows, part in _parts(values):
        same = _same(part, raster.ignored)
        empty[rows] = same.all(axis=-1) if raster.ignored == 0 and not strict else same.any(axis=-1)
        dark += int((same.any(axis=-1) & ~empty[rows]).sum())
    notes = raster.notes
    if dark:
        notes = (*notes, f"{dark:,} pixels hold the ignored value 0 in some bands but not in all, and are kept")
    if empty.any():
        values = values.astype(np.float32)
        values[empty] = np.nan
    return replace(raster, values=values, notes=notes)


def _count_gaps(raster: Raster) -> tuple[NDArray[np.int64], int]:
    """Count, for each band, the pixels without a number among those with one in some band; return these, too."""
    values = raster.values
    gaps, pixels = np.zeros(values.shape[2], np.int64), 0
    if values.dtype.kind != "f" and raster.ignored is None:
        return gaps, values.shape[0] * values.shape[1]
    for _, part in _parts(values):
        lost = ~np.isfinite(part)
        if raster.ignored is not None:
            lost |= _same(part, raster.ignored)
        known = ~lost.all(axis=-1)
        pixels += int(known.sum())
        gaps += lost.sum(axis=(0, 1)) - int((~known).sum())
    return gaps, pixels


def _parts(values: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    for start in range(0, len(values), ROWS):
        yield slice(start, start + ROWS), values[start : start + ROWS]


def _same(part: NDArray[Any], ignored: float) -> NDArray[np.bool_]:
    """Return a mask of the ignored value; of floating-point values up to the digits that a header has."""
    if part.dtype.kind != "f" or ignored == 0:
        same: NDArray[np.bool_] = part == ignored
        return same
    with np.errstate(all="ignore"):
        near: NDArray[np.bool_] = np.abs(part - ignored) <= 1e-6 * abs(ignored)
    return near

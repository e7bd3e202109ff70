"""Glance at whole sources, and find pictures to score that have a twin, of the same moment, in training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pennyweight.core.cache import cache_folder, make_cache_folder
from pennyweight.core.files import atomic
from pennyweight.core.images import Pixels
from pennyweight.core.machine import versions
from pennyweight.data.apart import TwinsInTraining, moments_of
from pennyweight.data.checks.glance import Glances, glance
from pennyweight.data.source import Sample, Source
from pennyweight.data.twins.find import Twins, find_twins
from pennyweight.data.used_levels import measure_levels

__all__ = ["glance_at", "have_twin_in", "twins_among"]

FORMAT = 7
"""Number of the search, which finds other twins than earlier ones."""
CHUNK = 1024
LEAST_KEPT = 256
"""Fewest pictures whose twins are kept in the cache; among fewer they are found in a moment."""


def glance_at(
    source: Source,
    *,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Glances | None:
    """Look once at every picture of a source, before it is split.

    Args:
        source: The source.
        max_pixels: Largest picture to read; by default 80 million pixels.
        advance: Called with the number of pictures after each step.

    Returns:
        Facts of every picture; None for a streamed source, whose pictures cannot be read one by one.
    """
    if source.streamed:
        return None
    used = measure_levels(source, source.samples, max_pixels=max_pixels)
    return glance(source, levels=() if used is None else used.levels, max_pixels=max_pixels, advance=advance)


def twins_among(glances: Glances, advance: Callable[[int], None] = lambda count: None) -> Twins:
    """Find the twins within a source; they are kept in the cache, by its thumbnails, unless it is small.

    Args:
        glances: Facts of its pictures.
        advance: Called with the number of pictures after each step.
    """
    if len(glances) < LEAST_KEPT:
        return find_twins(glances.gray, advance=advance)
    path = cache_folder("glances") / f"{_key(glances.gray)}.npz"  # whose bound holds for it too
    with suppress(OSError, ValueError, KeyError, BadZipFile):
        twins = _read(path)
        advance(len(glances))
        return twins
    twins = find_twins(glances.gray, advance=advance)
    with suppress(OSError):
        make_cache_folder(path.parent)
        with atomic(path) as temporary:
            fields = {name: getattr(twins, name) for name in ("pairs", "scores", "unsure", "plain")}
            np.savez(temporary, allow_pickle=False, **fields, reason=np.array(twins.reason or ""))
    return twins


def _key(gray: Pixels) -> str:
    """Return a key of thumbnails (N, side, side) and of the search; they are not copied as a whole."""
    key = hashlib.sha256(f"twins {FORMAT} {versions()['pennyweight']} {gray.shape}".encode())
    for start in range(0, len(gray), CHUNK):
        key.update(gray[start : start + CHUNK].tobytes())
    return key.hexdigest()[:32]


def _read(path: Path) -> Twins:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        fields = {name: kept[name] for name in ("pairs", "scores", "unsure", "plain")}
        return Twins(**fields, reason=str(kept["reason"]) or None)


def have_twin_in(
    source: Source,
    samples: Sequence[Sample],
    other: Source,
    training: Sequence[Sample],
    *,
    max_pixels: int | None = None,
) -> TwinsInTraining | None:
    """Find the pictures with a twin among those of a training on another source; twins within `samples` chain.

    Args:
        source: The source of the samples.
        samples: N pictures.
        other: The source of the training.
        training: Pictures of the training.
        max_pixels: Largest picture to read.

    Returns:
        Masks, (N,) each; None where one of the sources is streamed.
    """
    here, there = (glance_at(each, max_pixels=max_pixels) for each in (source, other))
    if here is None or there is None:
        return None
    found, unknown = np.zeros((2, len(samples)), np.bool_)
    if len(samples) and len(training):
        rows = _numbers(source, samples)
        within, across = twins_among(here), find_twins(here.gray[rows], against=there.gray[_numbers(other, training)])
        found[across.pairs[:, 0]] = True
        shown = moments_of(source, within, samples)
        assert shown is not None
        found = np.isin(shown, shown[found])
        unknown = (across.untold | within.untold[rows]) & ~found
    return TwinsInTraining(found, unknown)


def _numbers(source: Source, samples: Sequence[Sample]) -> list[int]:
    """Return the numbers of samples in their source."""
    numbers = {sample.name: number for number, sample in enumerate(source.samples)}
    return [numbers[sample.name] for sample in samples]

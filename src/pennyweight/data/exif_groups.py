"""Groups by EXIF metadata: pictures with equal values of a tag, or taken within minutes of each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from pennyweight.core.errors import InputError, PennyweightError, nearest
from pennyweight.core.exif import TAGS, TIMES, parse_time, read_tags
from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.core.reasons import few
from pennyweight.data.source import Sample, Source

__all__ = ["PREFIX", "exif_groups", "time_groups"]

PREFIX = "exif:"
"""Start of a `group_by` that groups by EXIF metadata."""
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Unit of a gap -> seconds."""
GAP = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
USUAL = ("Model", "Make", "BodySerialNumber", "LensModel", *TIMES, "Software", "Artist")
"""Tags that an error proposes where the one that was given is missing."""
TRIED = 32
"""Pictures that are searched for these."""
CHUNK = 32
"""Pictures whose metadata a thread reads before it reports."""


class _Grouping(NamedTuple):
    """Parsed `group_by`."""

    tag: str
    gap: timedelta | None


def exif_groups(source: Source, group_by: str) -> list[str | None]:
    """Return the group of each sample by EXIF metadata; None for a picture without it.

    Args:
        source: The source, whose samples are files.
        group_by: "exif:TAG", such as "exif:Model", for equal values; "exif:DateTimeOriginal@10min" for pictures
            between which no more than ten minutes pass. Units are s, min, h and d.

    Raises:
        InputError: An unknown tag, a gap that is not a time, or a source without files or without the tag.
    """
    tag, gap = _parse(group_by)
    if source.streamed:
        raise InputError(
            f"--group-by '{group_by}' reads every file, and {source.name} is streamed; give a regular expression, or "
            "copy the pictures into a folder"
        )
    if any(isinstance(sample.picture, np.ndarray) for sample in source.samples):
        raise InputError(
            f"--group-by '{group_by}' reads picture files, and {source.name} holds arrays, which have no EXIF; save "
            "them as files, or list them in a table with a column of groups"
        )
    texts = _read(source.samples, tag)
    groups = time_groups([parse_time(text or "") for text in texts], gap) if tag in TIMES else texts
    if not any(groups):
        raise InputError(
            f"--group-by '{group_by}' finds no EXIF {tag} in {source.name}, such as in {source.samples[0].name}; "
            + _instead(source.samples)
        )
    return groups


def time_groups(times: Sequence[datetime | None], gap: timedelta | None) -> list[str | None]:
    """Return the group of each time: a pause longer than `gap` begins a new group, which its first time names."""
    known = sorted({time for time in times if time is not None})
    names: dict[datetime, str] = {}
    for number, time in enumerate(known):
        joined = gap is not None and number > 0 and time - known[number - 1] <= gap
        names[time] = names[known[number - 1]] if joined else time.isoformat()
    return [None if time is None else names[time] for time in times]


def _parse(group_by: str) -> _Grouping:
    name, at, pause = group_by[len(PREFIX) :].partition("@")
    known = {tag.lower(): tag for tag in TAGS.values()}
    tag = known.get(name.strip().lower())
    if tag is None:
        hint = nearest(name, list(TAGS.values()), otherwise="; exif:Model and exif:DateTimeOriginal@10min are examples")
        raise InputError(f"--group-by '{group_by}' names no EXIF tag{hint}")
    if not at:
        return _Grouping(tag, None)
    if tag not in TIMES:
        raise InputError(f"--group-by '{group_by}' has a gap, and {tag} is no time; give exif:{tag}")
    found = GAP.fullmatch(pause)
    if found is None or found[2].lower() not in UNITS or not float(found[1]):
        raise InputError(
            f"--group-by '{group_by}' needs a gap in {', '.join(UNITS)}, such as exif:{tag}@10min, not '{pause}'"
        )
    try:
        return _Grouping(tag, timedelta(seconds=float(found[1]) * UNITS[found[2].lower()]))
    except OverflowError:
        raise InputError(f"--group-by '{group_by}' has a gap longer than any time; give exif:{tag}@10min") from None


def _read(samples: Sequence[Sample], tag: str) -> list[str | None]:
    """Return the value of the tag in each picture file, or None, in threads."""

    def read(chunk: Sequence[Sample]) -> list[str | None]:
        return [_value(sample, tag) for sample in chunk]

    makes = (partial(read, samples[start : start + CHUNK]) for start in range(0, len(samples), CHUNK))
    return [value for found, _ in prefetch(makes, 2 * cores(), threads=cores()) for value in found]


def _instead(samples: Sequence[Sample]) -> str:
    """Return the tags that the first pictures have, as advice; a name or a folder where they have none."""
    some = samples[:TRIED]
    found = {tag for sample in some for tag in USUAL if _value(sample, tag) is not None}
    if not found:
        return "without EXIF, give 'folder' or a regular expression with one group, such as '(patient[0-9]+)'"
    return f"pictures there have {few([f'exif:{tag}' for tag in USUAL if tag in found])}"


def _value(sample: Sample, tag: str) -> str | None:
    try:
        picture = sample.read()
    except (PennyweightError, OSError):  # decoding reports it
        return None
    return None if isinstance(picture, np.ndarray) else read_tags(picture).get(tag)

"""Look at every picture of a source and collect findings: unreadable, duplicate, mislabeled, odd pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.formats import ENDINGS
from pennyweight.core.images import Header, Pixels, decode, header
from pennyweight.core.machine import cores
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.checks.diagnosis import FEW_LEVELS, HUGE_PIXELS, KINDS, TINY, Diagnosis, Finding
from pennyweight.data.checks.near_duplicates import PerceptualHash, near_pairs, perceptual_hash
from pennyweight.data.checks.quick import refusals
from pennyweight.data.source import SPLITS, Sample, Source, Unreadable
from pennyweight.data.splits import split
from pennyweight.data.used_levels import measure_levels

__all__ = ["diagnose", "thumbnail"]

IMBALANCED = 3.0
MOST_USUAL = 4
"""Most channels of an ordinary picture: red, green, blue and transparency."""
USUAL_MODES = ("L", "RGB", "uint8")


class _Seen(NamedTuple):
    header: Header | None
    hash: PerceptualHash | None
    error: str | None
    kind: str = "unreadable"
    """Kind of the finding that the error makes."""
    levels_used: int = 256
    """Levels from the darkest to the brightest, of 256."""


def diagnose(
    source: Source,
    *,
    quick: bool = False,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Diagnosis:
    """Look at every picture of a source.

    Args:
        source: The source, which need not be fit for training.
        quick: Skip the search for near duplicates.
        max_pixels: Largest picture that can be read, as in `fit`; by default 80 million pixels.
        advance: Called with 1 after each picture.

    Returns:
        Findings, the most severe first.

    Raises:
        SourceError: The source is a stream, whose pictures cannot be read one by one.
    """
    if source.streamed:
        raise SourceError(
            f"{source.address} is streamed, and the doctor reads single files; copy a part of it into a folder"
        )

    where, splits, notes = _split(source)
    training = [sample for sample, part in zip(source.samples, where, strict=True) if part in ("train", None)]
    used = measure_levels(source, training, max_pixels=max_pixels)
    levels = () if used is None else used.levels
    seen: list[_Seen] = []
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for one in pool.map(lambda sample: _see(sample, source.channels, levels, max_pixels), source.samples):
            seen.append(one)
            advance(1)
    order = list(KINDS)
    findings = sorted(_findings(source, where, seen, quick=quick), key=lambda finding: order.index(finding.kind))
    return Diagnosis(
        source=source.name,
        fingerprint=source.fingerprint,
        counts=dict(source.count_by_label()),
        splits=splits,
        findings=tuple(findings),
        notes=(*source.notes, *notes, *((used.note,) if used is not None else ())),
        levels=levels,
    )


def _see(sample: Sample, channels: int, levels: Levels, max_pixels: int | None) -> _Seen:
    """Read the header of a picture and decode it; an error is kept as the reason of a finding."""
    found = None
    try:
        found = header(sample.read(), name=sample.where)
        hashed, levels_used = perceptual_hash(sample, channels, levels, max_pixels)
        return _Seen(found, hashed, None, levels_used=levels_used)
    except ImageError as error:
        banded = found is not None and found.bands != channels and (found.banded or channels > MOST_USUAL)
        reason = str(error).removeprefix(f"cannot read {sample.where}: ")
        return _Seen(None, None, reason, "bands" if banded else "unreadable")


def _findings(source: Source, where: Sequence[str | None], seen: Sequence[_Seen], *, quick: bool) -> Iterator[Finding]:
    pairs = list(zip(source.samples, seen, strict=True))
    unreadable = [*source.unreadable, *(Unreadable(sample.name, one.error) for sample, one in pairs if one.error)]
    yield from (Finding("refused", (), reason) for reason in refusals(source, unreadable))
    yield from (Finding("unreadable", (each.name,), _short(each)) for each in source.unreadable)
    yield from (Finding(one.kind, (sample.name,), one.error) for sample, one in pairs if one.error)
    yield from _equal(source, [sample.split for sample in source.samples], seen)
    if not quick:
        yield from _near(source, where, seen)
    yield from _imbalance(source)
    for sample, one in pairs:
        if one.header is not None:
            yield from _odd(sample, one.header)
            if one.levels_used < FEW_LEVELS:
                yield Finding("dull", (sample.name,), f"{one.levels_used} levels")


def thumbnail(sample: Sample, side: int, levels: Levels = (), max_pixels: int | None = None) -> Pixels | None:
    """Return the picture, scaled to fit `side` pixels, (h, w, 3) uint8; None if unreadable or of many bands."""
    try:
        image = decode(sample.read(), least=side, name=sample.where, levels=levels, max_pixels=max_pixels)
    except (ImageError, ValueError):
        return None
    image.thumbnail((side, side))
    return np.asarray(image)


def _short(unreadable: Unreadable) -> str:
    """Return the reason without the picture's path, which the finding names already."""
    start, separator, reason = unreadable.reason.partition(": ")
    return reason if separator and start.endswith(unreadable.name) else unreadable.reason


def _split(source: Source) -> tuple[Sequence[str | None], dict[str, int] | None, tuple[str, ...]]:
    """Return (split of each sample in `fit`, sizes of the three splits, notes)."""
    try:
        parts = split(source)
    except SourceError:  # the findings include this refusal
        return [sample.split for sample in source.samples], None, ()
    place = {sample.name: part for part in SPLITS for sample in parts[part]}
    return [place.get(sample.name) for sample in source.samples], parts.counts, parts.notes


def _equal(source: Source, where: Sequence[str | None], seen: Sequence[_Seen]) -> Iterator[Finding]:
    alike: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(source.samples):
        if seen[number].kind != "unreadable" or seen[number].error is None:  # equal unreadable files are no duplicates
            alike[sample.digest].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            kind = _kind(source, where, numbers, ("two labels", "two splits", "duplicate"))
            yield Finding(kind, _names(source, numbers), _places(source, where, numbers))


def _near(source: Source, where: Sequence[str | None], seen: Sequence[_Seen]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, sample in enumerate(source.samples):
        if seen[number].hash is not None:
            first.setdefault(sample.digest, number)  # `_equal` has reported equal pictures
    numbers = list(first.values())
    hashes = [one for number in numbers if (one := seen[number].hash) is not None]
    for a, b in near_pairs(hashes):
        pair = [numbers[a], numbers[b]]
        kind = _kind(source, where, pair, ("near, two labels", "near, two splits", "near duplicate"))
        yield Finding(kind, _names(source, pair), _places(source, where, pair))


def _kind(source: Source, where: Sequence[str | None], numbers: Sequence[int], kinds: tuple[str, str, str]) -> str:
    if len({source.samples[number].label for number in numbers}) > 1:
        return kinds[0]
    return kinds[1] if len({where[number] for number in numbers}) > 1 else kinds[2]


def _names(source: Source, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(source.samples[number].name for number in numbers)


def _places(source: Source, where: Sequence[str | None], numbers: Sequence[int]) -> str:
    """Return labels and splits of pictures as text: "2 of cat in train, 1 of dog in test"."""
    found = Counter((source.labels[source.samples[n].label], where[n]) for n in numbers)
    return ", ".join(f"{count} of {label}{f' in {part}' if part else ''}" for (label, part), count in found.items())


def _imbalance(source: Source) -> Iterator[Finding]:
    counts = source.count_by_label()
    (most, many), (least, few) = counts.most_common(1)[0], counts.most_common()[-1]
    if many >= IMBALANCED * few:
        yield Finding("imbalance", (), f"{most} has {many} pictures and {least} {few}, {many / few:.1f} times as many")


def _odd(sample: Sample, found: Header) -> Iterator[Finding]:
    size = f"{found.width}×{found.height}"
    if isinstance(sample.picture, Path):
        expected = ENDINGS.get(sample.picture.suffix.lower())
        if expected is not None and found.format not in expected:
            yield Finding("extension", (sample.name,), f"it is {found.format}")
    if min(found.height, found.width) < TINY and isinstance(sample.picture, Path):
        yield Finding("tiny", (sample.name,), size)
    if found.height * found.width > HUGE_PIXELS:
        yield Finding("huge", (sample.name,), size)
    if found.mode not in USUAL_MODES:
        yield Finding("mode", (sample.name,), found.mode)
    if found.more:
        yield Finding("several", (sample.name,), found.format)
    if found.orientation != 1:
        yield Finding("orientation", (sample.name,), f"tag {found.orientation}")

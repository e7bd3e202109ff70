"""Whether a source is sound: what is wrong with its pictures, each finding with the pictures that it is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.formats import ENDINGS
from pennyweight.core.images import Header, Pixels, decode, header
from pennyweight.core.machine import cores
from pennyweight.core.sixteen_bit import Levels
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.checks.near_duplicates import Look, look, near_pairs
from pennyweight.data.checks.quick import refusals
from pennyweight.data.source import SPLITS, Sample, Source, Unreadable
from pennyweight.data.splits import split
from pennyweight.data.used_levels import used_levels

__all__ = ["Diagnosis", "Finding", "diagnose", "thumbnail"]

TINY = 16
HUGE_PIXELS = 50_000_000
IMBALANCED = 3.0
FEW_LEVELS = 16
MOST_USUAL = 4
"""Channels of a picture with colours and transparency."""
USUAL_MODES = ("L", "RGB", "uint8")
KINDS = {
    "refused": ("error", "fit refuses the source for this"),
    "unreadable": ("error", "cannot be read; fit leaves them out"),
    "bands": ("error", "another number of bands than the input has; fit leaves them out"),
    "two labels": ("error", "the same picture under two labels"),
    "two splits": ("error", "the same picture in two splits; fit keeps it in the later one"),
    "near, two splits": ("warning", "nearly the same picture in two splits: the score may flatter"),
    "near, two labels": ("warning", "nearly the same picture under two labels"),
    "duplicate": ("warning", "the same picture more than once"),
    "near duplicate": ("note", "nearly the same picture more than once"),
    "imbalance": ("warning", "classes of unequal size"),
    "extension": ("note", "the ending of the name is not that of the content"),
    "tiny": ("note", f"a side below {TINY} pixels"),
    "huge": ("note", f"more than {HUGE_PIXELS // 10**6} megapixels"),
    "dull": ("note", f"darkest and brightest are less than {FEW_LEVELS} of 256 levels apart"),
    "mode": ("note", "neither 8-bit grey nor RGB; converted when read"),
    "several": ("note", "an animation or pages: the first is read"),
    "orientation": ("note", "stored turned, with a tag that says so; turned when read"),
}
"""A finding's kind -> (how serious it is, what it means), the most serious first."""


class Finding(NamedTuple):
    """`pictures` are the names that it is about; those that are alike stand together, the original first."""

    kind: str
    pictures: tuple[str, ...]
    detail: str

    @property
    def severity(self) -> str:
        return KINDS[self.kind][0]


@dataclass(frozen=True, kw_only=True, repr=False)
class Diagnosis(Summary):
    """What was found in a source."""

    source: str
    fingerprint: str
    counts: dict[str, int]
    """Pictures of each class."""
    splits: dict[str, int] | None
    """Pictures in each of the three splits; None where it cannot be split."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    levels: Levels = ()
    """The range of 16-bit pictures that `fit` will use."""

    @property
    def sound(self) -> bool:
        """No finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def _facts(self) -> Facts:
        yield "data", self.source
        yield "", "sound" if self.sound else "not sound"
        yield "images", f"{sum(self.counts.values()):,}"
        yield "classes", f"{len(self.counts):,}"
        for kind, count in Counter(finding.kind for finding in self.findings).items():
            yield f"{KINDS[kind][0]}: {kind}", f"{count:,}"

    def of(self, kind: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "sound": self.sound,
            "counts": self.counts,
            "splits": self.splits,
            "notes": list(self.notes),
            "findings": [
                {
                    "kind": f.kind,
                    "severity": f.severity,
                    "meaning": KINDS[f.kind][1],
                    "pictures": list(f.pictures),
                    "detail": f.detail,
                }
                for f in self.findings
            ],
        }


class _Seen(NamedTuple):
    header: Header | None
    look: Look | None
    error: str | None
    kind: str = "unreadable"
    """Of the finding that the error is."""
    levels_used: int = 256
    """From the darkest to the brightest, of 256."""


def diagnose(
    source: Source,
    *,
    quick: bool = False,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Diagnosis:
    """Look at every picture of a source; `quick` leaves out near duplicates. `advance(1)` is called after each.

    Pictures of more than `max_pixels` (by default 80 million) cannot be read, as in `fit`. Raises SourceError for a
    stream, whose pictures cannot be read one by one.
    """
    if source.streamed:
        raise SourceError(
            f"{source.address} is streamed, and the doctor looks at pictures alone; look at a part of it, in a folder"
        )

    where, splits, notes = _split(source)
    training_digests = [sample for sample, part in zip(source.samples, where, strict=True) if part in ("train", None)]
    used = used_levels(source, training_digests, max_pixels=max_pixels)
    levels = () if used is None else used.levels

    def see(sample: Sample) -> _Seen:
        found = None
        try:
            found = header(sample.read(), name=sample.where)
            looks, levels_used = look(sample, source.channels, levels, max_pixels)
            return _Seen(found, looks, None, levels_used=levels_used)
        except ImageError as error:
            banded = (
                found is not None and found.bands != source.channels and (found.banded or source.channels > MOST_USUAL)
            )
            reason = str(error).removeprefix(f"cannot read {sample.where}: ")
            return _Seen(None, None, reason, "bands" if banded else "unreadable")

    seen: list[_Seen] = []
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for one in pool.map(see, source.samples):
            seen.append(one)
            advance(1)
    given = [sample.split for sample in source.samples]
    unreadable = [
        *source.unreadable,
        *(Unreadable(sample.name, one.error) for sample, one in zip(source.samples, seen, strict=True) if one.error),
    ]
    findings = [Finding("refused", (), reason) for reason in refusals(source, unreadable)]
    findings += [Finding("unreadable", (each.name,), _short(each)) for each in source.unreadable]
    findings += [
        Finding(one.kind, (sample.name,), one.error)
        for sample, one in zip(source.samples, seen, strict=True)
        if one.error
    ]
    findings += _equal(source, given, seen)
    if not quick:
        findings += _near(source, where, seen)
    findings += _imbalance(source)
    for sample, one in zip(source.samples, seen, strict=True):
        if one.header is not None:
            findings += _odd(sample, one.header)
            if one.levels_used < FEW_LEVELS:
                findings.append(Finding("dull", (sample.name,), f"{one.levels_used} levels"))
    order = list(KINDS)
    return Diagnosis(
        source=source.name,
        fingerprint=source.fingerprint,
        counts=dict(source.count_by_label()),
        splits=splits,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
        notes=(*source.notes, *notes, *((used.note,) if used is not None else ())),
        levels=levels,
    )


def thumbnail(sample: Sample, side: int, levels: Levels = (), max_pixels: int | None = None) -> Pixels | None:
    """The whole picture within `side` pixels, (h, w, 3) uint8; None for one that cannot be read or has many bands."""
    try:
        image = decode(sample.read(), least=side, name=sample.where, levels=levels, max_pixels=max_pixels)
    except (ImageError, ValueError):
        return None
    image.thumbnail((side, side))
    return np.asarray(image)


def _short(unreadable: Unreadable) -> str:
    """Return the reason without the picture's path, which stands beside it."""
    said, separator, reason = unreadable.reason.partition(": ")
    return reason if separator and said.endswith(unreadable.name) else unreadable.reason


def _split(source: Source) -> tuple[Sequence[str | None], dict[str, int] | None, tuple[str, ...]]:
    """(the split in which fit will have each sample, the sizes of the three, notes)."""
    try:
        parts = split(source)
    except SourceError:  # a refusal, which the findings tell
        return [sample.split for sample in source.samples], None, ()
    place = {sample.name: part for part in SPLITS for sample in parts[part]}
    return [place.get(sample.name) for sample in source.samples], parts.counts, parts.notes


def _equal(source: Source, where: Sequence[str | None], seen: Sequence[_Seen]) -> Iterator[Finding]:
    alike: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(source.samples):
        if seen[number].kind != "unreadable" or seen[number].error is None:  # equal empty files are no picture
            alike[sample.digest].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            kind = _kind(source, where, numbers, ("two labels", "two splits", "duplicate"))
            yield Finding(kind, _names(source, numbers), _places(source, where, numbers))


def _near(source: Source, where: Sequence[str | None], seen: Sequence[_Seen]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, sample in enumerate(source.samples):
        if seen[number].look is not None:
            first.setdefault(sample.digest, number)  # equal ones are told of already
    numbers = list(first.values())
    looks = [one for number in numbers if (one := seen[number].look) is not None]
    for a, b in near_pairs(looks):
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
    """ "2 of cat in train, 1 of dog in test"."""
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

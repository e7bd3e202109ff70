"""Look at every picture of a source and collect findings: unreadable, duplicate, mislabeled, odd pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.formats import ENDINGS
from pennyweight.core.images import Header, Pixels, decode
from pennyweight.core.reasons import reason_alone
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.apart import moments_of, split_by_rule
from pennyweight.data.checks.diagnosis import FEW_LEVELS, HUGE_PIXELS, KINDS, TINY, Diagnosis, Finding
from pennyweight.data.checks.glance import Glances, glance
from pennyweight.data.checks.grouping import propose_groups
from pennyweight.data.checks.quick import refusals
from pennyweight.data.checks.shards import shard_findings
from pennyweight.data.checks.shortcuts import Shortcut, held_out, shortcuts, telling
from pennyweight.data.checks.view import View, cut_findings, view_of
from pennyweight.data.readers.shard_index import Streamed
from pennyweight.data.source import SPLITS, Sample, Source, Unreadable
from pennyweight.data.splits import split
from pennyweight.data.twins.find import Twins
from pennyweight.data.twins_of import twins_among
from pennyweight.data.used_levels import measure_levels

__all__ = ["diagnose", "thumbnail"]

IMBALANCED = 3.0
USUAL_MODES = ("L", "RGB", "uint8")


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
        quick: Skip the search for twins.
        max_pixels: Largest picture that can be read, as in `fit`; by default 80 million pixels.
        advance: Called with 1 after each picture.

    Returns:
        Findings, the most severe first.

    Raises:
        SourceError: A shard of a streamed source cannot be read.
    """
    everything = measure_levels(source, source.samples, max_pixels=max_pixels)
    glances = glance(source, levels=everything.levels if everything else (), max_pixels=max_pixels, advance=advance)
    twins = None if quick else twins_among(glances)
    where, splits, notes, refusal = _split(source, None if source.streamed else twins)  # fit does not look at shards
    training = [sample for sample, part in zip(source.samples, where, strict=True) if part in ("train", None)]
    used = measure_levels(source, training, max_pixels=max_pixels)
    levels = () if used is None else used.levels
    scores = _shortcuts(source, where, glances, twins)
    proposed = propose_groups(source, glances, where)
    view, cut = _view(source, where, glances)
    found = [
        *_findings(source, where, glances, twins, refusal),
        *(Finding("shortcut", (), one.fact) for one in telling(scores)),
        *shard_findings(source),
        *cut,
        *((Finding("groups", proposed.example, proposed.fact),) if proposed else ()),
    ]
    order = list(KINDS)
    return Diagnosis(
        source=source.name,
        fingerprint=source.fingerprint,
        counts=dict(source.count_by_label()),
        splits=splits,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.kind))),
        notes=(*source.notes, *notes, *filter(None, (used and used.note, glances.note))),
        levels=levels,
        shortcuts=scores,
        view=view,
    )


def _view(source: Source, where: Sequence[str | None], glances: Glances) -> tuple[View | None, Sequence[Finding]]:
    """Return what the input of `fit` shows, and a finding for what it cuts away."""
    training = [
        (sample, saved.header.upright)
        for sample, part, saved in zip(source.samples, where, glances.saved, strict=True)
        if part in ("train", None) and saved is not None
    ]
    view = view_of([sides for _, sides in training], [sample for sample, _ in training], source.size)
    named = [(sample.name, sides) for sample, sides in training]
    return view, [Finding("cut", *each) for each in cut_findings(named, view)]


def _shortcuts(
    source: Source, where: Sequence[str | None], glances: Glances, twins: Twins | None
) -> tuple[Shortcut, ...]:
    """Score trivial classifiers on the splits that `fit` makes."""
    train, val, test = ([number for number, part in enumerate(where) if part == name] for name in SPLITS)
    labels, moments = [sample.label for sample in source.samples], moments_of(source, twins, source.samples)
    return shortcuts(glances, labels, train, held_out(test, val), moments)


def _findings(
    source: Source, where: Sequence[str | None], glances: Glances, twins: Twins | None, refusal: str | None
) -> Iterator[Finding]:
    names = [sample.name for sample in source.samples]
    failed = [(name, reason) for name, reason in zip(names, glances.reasons, strict=True) if reason is not None]
    unreadable = [*source.unreadable, *(Unreadable(name, reason) for name, reason in failed)]
    refused = refusals(source, unreadable)
    # What twins alone refuse is told where nothing else is refused: the split of less would not be the one of `fit`.
    yield from (Finding("refused", (), reason) for reason in refused or filter(None, (refusal,)))
    yield from (Finding("unreadable", (each.name,), reason_alone(*each)) for each in source.unreadable)
    for name, reason, banded in zip(names, glances.reasons, glances.banded.tolist(), strict=True):
        if reason is not None:
            yield Finding("bands" if banded else "unreadable", (name,), reason)
    yield from _equal(source, glances)
    if twins is not None:
        yield from _near(source, where, twins)
    yield from _imbalance(source)
    for sample, saved, used in zip(source.samples, glances.saved, glances.looks["levels_used"].tolist(), strict=True):
        if saved is not None:
            yield from _odd(sample, saved.header)
            if used < FEW_LEVELS:
                yield Finding("dull", (sample.name,), f"{used} levels")


def thumbnail(sample: Sample, side: int, levels: Levels = (), max_pixels: int | None = None) -> Pixels | None:
    """Return the picture, scaled to fit `side` pixels, (h, w, 3) uint8; None if unreadable or of many bands."""
    try:
        image = decode(sample.read(), least=side, name=sample.where, levels=levels, max_pixels=max_pixels)
    except (ImageError, ValueError):
        return None
    image.thumbnail((side, side))
    return np.asarray(image)


def _split(
    source: Source, twins: Twins | None
) -> tuple[Sequence[str | None], dict[str, int] | None, tuple[str, ...], str | None]:
    """Return (split of each sample in `fit`, sizes of the three splits, notes, reason for which `fit` refuses)."""
    try:
        parts = split(source) if twins is None else split_by_rule(source, twins, "group")
    except SourceError as error:
        return [sample.split for sample in source.samples], None, (), str(error)
    place = {(sample.name, sample.digest): part for part in SPLITS for sample in parts[part]}
    return [place.get((sample.name, sample.digest)) for sample in source.samples], parts.counts, parts.notes, None


def _equal(source: Source, glances: Glances) -> Iterator[Finding]:
    where = [sample.split for sample in source.samples]
    alike: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(source.samples):
        if glances.reasons[number] is None or glances.banded[number]:  # equal unreadable files are no duplicates
            alike[sample.digest].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            kind = _kind(source, where, numbers, ("two labels", "two splits", "duplicate"))
            yield Finding(kind, _names(source, numbers), _places(source, where, numbers))


def _near(source: Source, where: Sequence[str | None], twins: Twins) -> Iterator[Finding]:
    """Yield a finding for each cluster of twins: first a picture of each label and split, then the others.

    Of equal pictures, which `_equal` has reported, it has the first.
    """
    for cluster in twins.clusters(len(source.samples)):
        first = {source.samples[number].digest: number for number in reversed(cluster)}
        numbers = sorted(first.values())
        places = {(source.samples[number].label, where[number]): number for number in reversed(numbers)}
        numbers.sort(key=lambda number: number not in places.values())  # a page shows few of many
        if len(numbers) > 1:
            kind = _kind(source, where, numbers, ("twins, two labels", "twins, two splits", "twins"))
            yield Finding(kind, _names(source, numbers), _places(source, where, numbers))


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
    if min(found.height, found.width) < TINY and isinstance(sample.picture, (Path, Streamed)):
        yield Finding("tiny", (sample.name,), size)
    if found.height * found.width > HUGE_PIXELS:
        yield Finding("huge", (sample.name,), size)
    if found.mode not in USUAL_MODES:
        yield Finding("mode", (sample.name,), found.mode)
    if found.more:
        yield Finding("several", (sample.name,), found.format)
    if found.orientation != 1:
        yield Finding("orientation", (sample.name,), f"tag {found.orientation}")

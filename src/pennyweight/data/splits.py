"""Training, validation and test split of a source: always three, decided by content alone."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.core.reasons import such_as
from pennyweight.data.groups import without_group
from pennyweight.data.source import SPLITS, Sample, Source, Split
from pennyweight.data.units import Unit, in_order, units_of

__all__ = ["TEST_SHARE", "VAL_SHARE", "LeftOut", "Splits", "split"]

TEST_SHARE = 0.15
VAL_SHARE = 0.15
VAL_MOST = 5_000
"""Approximate largest number of pictures, or groups, in validation; more are of greater use in training."""


class LeftOut(NamedTuple):
    """Name of a readable picture that no split has, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Samples of each split, the pictures that none has, and notes on how they were chosen."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: Split) -> tuple[Sample, ...]:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of pictures in each split."""
        return {name: len(self[name]) for name in SPLITS}

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over the contents of each split; order and file names do not count."""
        rows = sorted(f"{name} {sample.digest} {sample.label}" for name in SPLITS for sample in self[name])
        return "sha256:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()


def split(source: Source, twins: Sequence[Sequence[int]] = ()) -> Splits:
    """Divide a source into training, validation and test split.

    The splits of a source are kept, except that a training or validation picture is left out if a later split holds
    an equal picture or one of its group. Of a source with two splits, the second one is the test split and a part of
    train validates. A source with a single split is divided as if it had none.

    Without splits, the content of each picture decides its split, and equal pictures, groups and twins stay together.
    Adding a picture then moves no other, with three exceptions: a class so small that a split would be empty, a
    validation split that exceeds VAL_MOST, half of which goes to training, and a picture with twins, which may move
    them. Twins do not change the splits of a source that has its own.

    Args:
        source: The source.
        twins: Clusters of pictures that show the same moment, as numbers of samples.

    Returns:
        Samples of the three splits, and notes for the user.

    Raises:
        SourceError: A class has too few different pictures for three splits.
    """
    clusters = {source.samples[number].digest: str(key) for key, cluster in enumerate(twins) for number in cluster}
    given = {name: in_order(s for s in source.samples if s.split == name) for name in SPLITS}
    there = [name for name in SPLITS if given[name]]
    if len(there) <= 1:
        share = _val_share(source.samples)
        note = f"split by content: about {TEST_SHARE:.0%} test, {_percent(share)} validation"
        alone = (f"it has a {there[0]} split only, which is divided",) if there else ()
        parts = _by_content(source, source.samples, {"test": TEST_SHARE, "val": share}, clusters)
        return Splits(train=parts["train"], val=parts["val"], test=parts["test"], notes=(*alone, note))
    if not given["train"]:
        raise SourceError(f"{source.name} has val and test but no train; add one, or give no splits at all")
    if given["val"] and given["test"]:
        (val, train), left_out = _apart(source, given["test"], given["val"], given["train"])
        return Splits(train=train, val=val, test=given["test"], left_out=left_out, notes=_apart_notes(left_out))
    last: Split = "test" if given["test"] else "val"
    (train,), left_out = _apart(source, given[last], given["train"])
    notes: tuple[str, ...] = ("its val is the test split",) if last == "val" else ()
    share = _val_share(train)
    notes += (
        *_apart_notes(left_out),
        f"about {_percent(share)} of its train, chosen by content, is the validation split",
    )
    parts = _by_content(source, train, {"val": share}, clusters)
    return Splits(train=parts["train"], val=parts["val"], test=given[last], left_out=left_out, notes=notes)


def _val_share(samples: Sequence[Sample]) -> float:
    """Return VAL_SHARE, halved until it gives at most VAL_MOST of these pictures or groups.

    The share changes in halves only: if it changed with the count, one more picture would move others between splits.
    """
    share, units = VAL_SHARE, len({sample.digest if sample.group is None else sample.group for sample in samples})
    while share * units > VAL_MOST:
        share /= 2
    return share


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _apart(
    source: Source, last: Sequence[Sample], *earlier: tuple[Sample, ...]
) -> tuple[list[tuple[Sample, ...]], tuple[LeftOut, ...]]:
    """Remove pictures and groups of later splits from earlier ones; return these, the latest first, and the removed.

    Raises SourceError if that empties an earlier split or a class of the training split.
    """
    later: dict[tuple[str, str], str] = {}
    kept: list[tuple[Sample, ...]] = []
    left_out: list[LeftOut] = []
    for after, part in zip((last, *earlier), earlier, strict=False):
        for sample in after:
            later |= {key: f"{sample.split} has the same {key[0]}" for key in _keys(sample) if key not in later}
        reasons = [next((later[key] for key in _keys(sample) if key in later), None) for sample in part]
        kept.append(tuple(sample for sample, reason in zip(part, reasons, strict=True) if reason is None))
        left_out += [LeftOut(s.name, reason) for s, reason in zip(part, reasons, strict=True) if reason is not None]
    lost = {s.label for s in earlier[-1]} - {s.label for s in kept[-1]}
    if lost or not all(kept):
        what = " and ".join(f"class '{source.labels[label]}'" for label in sorted(lost)) or "the val split"
        raise SourceError(
            f"every picture of {what} of {source.name} in training or validation is in a later split too, so the "
            "score would count training pictures; give each split its own pictures"
        )
    return kept, tuple(left_out)


def _keys(sample: Sample) -> list[tuple[str, str]]:
    """Return what a picture must share with none of another split: its content, and its group if it has one."""
    return [("picture", sample.digest), *([("group", sample.group)] if sample.group is not None else ())]


def _apart_notes(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """Return a note on the pictures that `_apart` removed, if there are any."""
    names = [each.name for each in left_out]
    pictures = f"{several(len(names), 'picture')} left out of training and validation, such as {such_as(names)}"
    return (f"{pictures}: a later split has the same picture or group",) if names else ()


def _too_few(
    source: Source, label: int, own: int, needed: int, groups: bool, covered: Mapping[int, Collection[Split]]
) -> str:
    """Return the error line for a class with too few pictures for its splits."""
    plural = "s" * (own != 1)
    groups_or = f"group{plural} or " if groups else ""
    shared = " of its own: others are under another label too" if covered[label] else ""
    line = (
        f"class '{source.labels[label]}' of {source.name} has {own} different {groups_or}picture{plural}{shared}; it "
        f"needs at least {needed}, for training, validation and test"
    )
    if not groups:
        return line
    members = [sample.group for sample in source.samples if sample.label == label]
    named = len({group for group in members if group is not None})
    held = f"its {several(len(members), 'picture')} are in {several(named, 'group')}"
    alone = without_group(source.samples)
    return f"{line}: {held} ({source.group_by}){f'; {alone}' if alone else ''}; take smaller groups, or no --group-by"


def _by_content(
    source: Source, samples: Sequence[Sample], shares: dict[Split, float], clusters: Mapping[str, str]
) -> dict[Split, tuple[Sample, ...]]:
    """Divide each class by the places of its units in [0, 1), with at least one unit of each class in every split.

    A unit is a set of equal pictures, of the pictures of one group, or of twins.
    """
    units = units_of(samples, clusters)
    bounds: dict[Split, float] = {}
    for name, share in shares.items():
        bounds[name] = max(bounds.values(), default=0.0) + share
    parts: dict[Split, list[Sample]] = {name: [] for name in SPLITS}
    several = [unit for unit in units if len(unit.labels) > 1]
    covered: dict[int, set[Split]] = defaultdict(set)
    # Units of several classes go by their places alone; then each class fills the splits that it lacks.
    for unit in several:
        name = next((name for name, bound in bounds.items() if unit.place < bound), "train")
        parts[name] += unit.samples
        for label in unit.labels:
            covered[label].add(name)
    by_class: dict[int, list[Unit]] = defaultdict(list)
    for unit in units:
        if len(unit.labels) == 1:
            by_class[unit.samples[0].label].append(unit)
    order: list[Split] = [*shares, "train"]
    labels = sorted({sample.label for sample in samples})
    empties = {label: [name for name in order if name not in covered[label]] for label in labels}
    short = [label for label in labels if len(by_class[label]) < len(empties[label])]
    if short:
        groups = any(sample.group for sample in samples)
        first = _too_few(source, short[0], len(by_class[short[0]]), len(empties[short[0]]), groups, covered)
        others = [f"'{source.labels[label]}' ({len(by_class[label])})" for label in short[1:]]
        raise SourceError(first + (f"; too few have also {', '.join(others)}" if others else ""))
    for label in labels:
        own, empty = by_class[label], empties[label]
        start = 0
        for number, name in enumerate(shares):
            end = sum(unit.place < bounds[name] for unit in own)
            # Leave a unit for each later split that lacks the class, and take one if this split lacks it.
            later = sum(other in empty for other in order[number + 1 :])
            end = min(max(end, start + (name in empty)), len(own) - later)
            parts[name] += [sample for unit in own[start:end] for sample in unit.samples]
            start = max(start, end)
        parts["train"] += [sample for unit in own[start:] for sample in unit.samples]
    return {name: tuple(part) for name, part in parts.items()}

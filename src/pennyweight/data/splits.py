"""Training, selection and test: always three, decided by content alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pennyweight.core.errors import SourceError
from pennyweight.data.source import SPLITS, Sample, Source, Split

__all__ = ["TEST_SHARE", "VAL_SHARE", "Splits", "split"]

TEST_SHARE = 0.15
VAL_SHARE = 0.15


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The samples of each split, and notes on how they came about."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: Split) -> tuple[Sample, ...]:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def counts(self) -> dict[str, int]:
        """Pictures in each split."""
        return {name: len(self[name]) for name in SPLITS}


def split(source: Source) -> Splits:
    """Three splits of a source. Raises SourceError when a class has too few different pictures for them.

    What a source gives is kept. A source with train and val only keeps its val for the end, as test, and
    selects on a part of train. Without splits, each picture goes by its own content: adding one moves no other
    (but in a class so small that a split would have none), and equal pictures stay together.
    """
    given = {name: tuple(s for s in source.samples if s.split == name) for name in SPLITS}
    if not source.has_splits:
        note = f"split by content: about {TEST_SHARE:.0%} test, {VAL_SHARE:.0%} validation"
        parts = _by_content(source, source.samples, {"test": TEST_SHARE, "val": VAL_SHARE})
        return Splits(train=parts["train"], val=parts["val"], test=parts["test"], notes=(note,))
    if given["val"] and given["test"]:
        return Splits(train=given["train"], val=given["val"], test=given["test"])
    last: Split = "test" if given["test"] else "val"
    if not given[last]:
        raise SourceError(f"{source.name} has a train folder only; add a test folder, or put the classes side by side")
    notes = ["its val is kept for the end, as the test split"] if last == "val" else []
    notes.append(f"about {VAL_SHARE:.0%} of its train, chosen by content, selects the weights")
    parts = _by_content(source, given["train"], {"val": VAL_SHARE})
    return Splits(train=parts["train"], val=parts["val"], test=given[last], notes=tuple(notes))


def _by_content(
    source: Source, samples: Iterable[Sample], shares: dict[Split, float]
) -> dict[Split, tuple[Sample, ...]]:
    """Give each class its shares, by the samples' places in [0, 1); at least one picture a class in every part."""
    parts: dict[Split, list[Sample]] = {name: [] for name in SPLITS}
    by_class: dict[int, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        by_class[sample.label][sample.digest].append(sample)
    for label, by_digest in sorted(by_class.items()):
        # Groups of equal pictures, in the order of their places.
        groups = [by_digest[digest] for digest in sorted(by_digest)]
        if len(groups) < len(shares) + 1:
            raise SourceError(
                f"class '{source.labels[label]}' of {source.name} has {len(groups)} different pictures; "
                f"it needs at least {len(shares) + 1}, to train, select and test on"
            )
        start, bound = 0, 0.0
        for number, (name, share) in enumerate(shares.items()):
            bound += share
            end = sum(group[0].place < bound for group in groups)
            # Leave at least one group for each part that follows, and take at least one.
            end = min(max(end, start + 1), len(groups) - (len(shares) - number))
            parts[name] += [sample for group in groups[start:end] for sample in group]
            start = end
        parts["train"] += [sample for group in groups[start:] for sample in group]
    return {name: tuple(part) for name, part in parts.items()}

"""Quick checks of a source, which `fit` and `evaluate` run: conflicting labels, and splits that are too small."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from pennyweight.core.errors import SourceError
from pennyweight.core.reasons import EXAMPLES, few, reason_alone, such_as
from pennyweight.data.pictures import Pictures
from pennyweight.data.source import SPLITS, Sample, Source, Unreadable
from pennyweight.data.splits import split

__all__ = ["label_conflicts", "refusals", "require_enough", "too_little"]

MOST_UNREADABLE = 0.5


def label_conflicts(source: Source, unreadable: Sequence[Unreadable] = ()) -> tuple[str, ...]:
    """Return lines to show before training: pictures under two labels.

    Args:
        source: The source.
        unreadable: Files that cannot be read; equal ones, such as empty files, are not counted as one picture.

    Returns:
        The lines; empty if there is nothing to show.
    """
    return tuple(_two_labels(source, {each.name for each in unreadable}))


def _two_labels(source: Source, left_out: Set[str]) -> Iterator[str]:
    equal: dict[str, list[Sample]] = defaultdict(list)
    for sample in source.samples:
        if sample.name not in left_out:
            equal[sample.digest].append(sample)
    several = [samples for samples in equal.values() if len({sample.label for sample in samples}) > 1]
    if several:
        pairs = ((same[0], next(each for each in same if each.label != same[0].label)) for same in several[:EXAMPLES])
        examples = such_as([f"{one.name} = {other.name}" for one, other in pairs])
        yield f"pictures under two labels: {len(several):,}, such as {examples}; `pennyweight doctor` lists them"


def require_enough(source: Source, unreadable: Sequence[Unreadable], *parts: Pictures) -> None:
    """Check that enough pictures of a source can be read.

    Args:
        source: The source.
        unreadable: Pictures that cannot be read.
        parts: Readable pictures of each split, the training split first.

    Raises:
        SourceError: More than half of the pictures are unreadable, a split is empty, or a class has no training
            picture.
    """
    reason = too_little(source, unreadable, *(part.targets.tolist() for part in parts))
    if reason is not None:
        raise SourceError(reason)


def too_little(source: Source, unreadable: Sequence[Unreadable], *parts: Sequence[int]) -> str | None:
    """Return the reason for which the readable pictures are too few, or None; `parts` are labels, training first."""
    if not unreadable:
        return None
    kept = sum(map(len, parts))
    example = f"{unreadable[0].name} ({reason_alone(*unreadable[0])})"
    if len(unreadable) > MOST_UNREADABLE * (kept + len(unreadable)):
        return (
            f"{len(unreadable):,} of the {kept + len(unreadable):,} pictures of {source.name} cannot be read, such as "
            f"{example}; `pennyweight doctor` lists them"
        )
    lost = {sample.label for sample in source.samples} - set(parts[0])
    if all(parts) and not lost:
        return None
    named = [f"class '{source.labels[label]}'" for label in sorted(lost)]
    what = " and ".join(named) if len(named) <= EXAMPLES else few(named, EXAMPLES)
    return f"{what or 'a split'} of {source.name} has no picture left that can be read; the first lost is {example}"


def refusals(source: Source, unreadable: Sequence[Unreadable]) -> tuple[str, ...]:
    """Return every reason for which `fit` would refuse a source with these unreadable pictures."""
    try:
        source.require_classes(2)
        splits = split(source)
    except SourceError as error:
        return (*source.refusals, str(error))
    bad = {each.name for each in unreadable}
    parts = [[sample.label for sample in splits[name] if sample.name not in bad] for name in SPLITS]
    reason = too_little(source, unreadable, *parts)
    return (*source.refusals, *filter(None, (reason,)))

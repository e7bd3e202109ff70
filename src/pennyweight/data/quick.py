"""The quick part of the doctor, which `fit` and `evaluate` run: what is said, left out, or too little to go on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pennyweight.core.errors import SourceError
from pennyweight.data.pictures import Pictures
from pennyweight.data.source import Sample, Source, Unreadable

__all__ = ["remarks", "require_enough"]

MOST_UNREADABLE = 0.5


def remarks(source: Source) -> tuple[str, ...]:
    """Return what a person should know before training, in a line each: pictures under two labels."""
    return tuple(_two_labels(source))


def _two_labels(source: Source) -> Iterator[str]:
    equal: dict[str, list[Sample]] = defaultdict(list)
    for sample in source.samples:
        equal[sample.digest].append(sample)
    several = [samples for samples in equal.values() if len({sample.label for sample in samples}) > 1]
    if several:
        first = several[0][0]
        other = next(sample for sample in several[0] if sample.label != first.label)
        yield (
            f"pictures under two labels: {len(several)}, such as {first.name} = {other.name}; `pennyweight doctor` "
            "lists them"
        )


def require_enough(source: Source, unreadable: Sequence[Unreadable], *parts: Pictures) -> None:
    """Raise SourceError when what can be read is too little: half of it gone, a part empty, or a class not in training.

    The first of the parts is what is trained on.
    """
    if not unreadable:
        return
    kept = sum(map(len, parts))
    example = f"{unreadable[0].name} ({unreadable[0].reason})"
    if len(unreadable) > MOST_UNREADABLE * (kept + len(unreadable)):
        raise SourceError(
            f"{len(unreadable)} of the {kept + len(unreadable)} pictures of {source.name} cannot be read, such as "
            f"{example}; `pennyweight doctor` lists them"
        )
    missing = set(range(len(source.labels))) - set(parts[0].targets.tolist())
    lost = missing & {sample.label for sample in source.samples}
    if not all(map(len, parts)) or lost:
        what = f"class '{source.labels[min(lost)]}'" if lost else "a split"
        raise SourceError(f"{what} of {source.name} has no picture left that can be read; the first lost is {example}")

"""The quick check that `fit` and `evaluate` make: what cannot be read is left out, unless too little is left."""

from __future__ import annotations

from collections.abc import Sequence

from pennyweight.core.errors import SourceError
from pennyweight.data.pictures import Pictures
from pennyweight.data.source import Source, Unreadable

__all__ = ["require_enough"]

MOST_UNREADABLE = 0.5


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

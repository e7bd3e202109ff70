"""Folders of pictures whose file names hold their labels, such as cat.1.jpg, dog.1.jpg."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_text
from pennyweight.core.reasons import such_as
from pennyweight.core.walk import Walk
from pennyweight.data.readers.columns import number_classes
from pennyweight.data.readers.contents import Listed, lost_classes, read_samples
from pennyweight.data.readers.layout import find_split
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.source import Source, Split, Unreadable

__all__ = ["read_named_labels"]


def read_named_labels(root: Path, read_as: ReadAs, *, name: str, address: str) -> Source:
    """Read the pictures under `root`, each labeled by the group that `read_as.label_from` matches in its path.

    Top folders named train, val or test are splits. A note counts pictures without a label, which are left out. Raises
    SourceError if no picture has a label.
    """
    walk = Walk(root)
    found: list[tuple[Path, str, str]] = []
    without: list[str] = []
    for file in walk.pictures():
        text = as_text(file.relative_to(root).as_posix())
        label = read_as.label_of(text)
        if label is None:
            without.append(text)
        else:
            found.append((file, text, label))
    if not found:
        example = f", such as {without[0]}" if without else ", which has none"
        raise SourceError(f"--label-from '{read_as.label_from}' finds no label in the pictures of {root}{example}")
    splits = [_split(text) for _, text, _ in found]
    known = "train" in splits and None not in splits
    labels, numbers = number_classes([label for _, _, label in found], None, name)
    listed: list[Listed] = [
        (file, numbers[label], split if known else None, text, None)
        for (file, text, label), split in zip(found, splits, strict=True)
    ]
    contents = read_samples(listed)
    samples, unreadable, suggested = contents
    notes = [f"labels are the matches of '{read_as.label_from}' in the names of files: {len(labels)} classes"]
    if without:
        which = "picture whose name holds" if len(without) == 1 else "pictures whose names hold"
        notes.append(f"left out {len(without):,} {which} no label, such as {such_as(without)}")
    return Source(
        name=name,
        address=address,
        labels=labels,
        samples=samples,
        size=suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(*notes, *walk.notes(), *suggested.notes),
        unreadable=(*(Unreadable(walk.name(lost.path), lost.reason) for lost in walk.lost), *unreadable),
        refusals=lost_classes(labels, listed, contents, name),
        read_as=read_as.to_dict(),
    )


def _split(text: str) -> Split | None:
    """Return the split that the first folder of a path names, or None."""
    first, _, rest = text.partition("/")
    return find_split(first) if rest else None

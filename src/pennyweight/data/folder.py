"""A folder of pictures: SOURCE/class/*.jpg, or SOURCE/{train,val,test}/class/*."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_text
from pennyweight.core.images import EXTENSIONS
from pennyweight.data.contents import Listed, read_samples, require_classes
from pennyweight.data.looks import looks
from pennyweight.data.source import Source, Split

__all__ = ["SPLIT_NAMES", "folder"]

ENDINGS = tuple(EXTENSIONS)
MOST_ENDINGS = 5
"""Of files that are passed over, so many endings are named."""
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def folder(path: Path, *, address: str | None = None) -> Source:
    """Read the names and contents of the pictures under `path`; class folders may hold folders.

    Linked folders are followed, but not back to where they lie. Files that are no pictures by their extension are
    passed over; whether the others are pictures shows when they are decoded. Raises SourceError for a layout that holds
    no classes, a class of which nothing can be opened, or one that training does not have.
    """
    splits = _split_folders(path)
    roots: dict[Split | None, Path] = dict(splits) or {None: path}
    first = roots.get("train", path)
    labels = tuple(child.name for child in _folders(first))
    if not labels:
        raise SourceError(f"{first} has no class folders; the pictures of each class go into a folder of its own")
    for name in labels:
        if as_text(name) != name:
            raise SourceError(f"class folder '{as_text(name)}' of {first} has a name that is not UTF-8; rename it")
    listed: list[Listed] = []
    others: Counter[str] = Counter()
    back: list[Path] = []
    for split, root in roots.items():
        classes = _folders(root)
        for child in classes:
            if child.name not in labels:
                raise SourceError(f"{child} is a class that {first} does not have; it has {', '.join(labels)}")
        loose = [file for file in _children(root) if file.is_file() and file.suffix.lower() in EXTENSIONS]
        if loose:
            raise SourceError(
                f"{root} has pictures beside its class folders ({loose[0].name}); "
                "move each into the folder of its class"
            )
        for child in classes:
            files = _pictures(child, others, back)
            if not files:
                raise SourceError(f"class folder {child} has no pictures; add some ({_known()}), or remove the folder")
            label = labels.index(child.name)
            listed += [(file, label, split, as_text(file.relative_to(path).as_posix()), None) for file in files]
    samples, unreadable = read_samples(listed)
    require_classes(labels, samples, unreadable, path.resolve().name)
    suits = looks(samples)
    return Source(
        name=path.resolve().name,
        address=address or str(path.resolve()),
        labels=labels,
        samples=samples,
        size=suits.size,
        channels=suits.channels,
        notes=_passed_over(path, others, back),
        unreadable=unreadable,
    )


def _split_folders(path: Path) -> list[tuple[Split, Path]]:
    """The split folders of `path`: one for training and others, or a lone one for training that holds class folders."""
    children = _folders(path)
    named = [(SPLIT_NAMES.get(child.name.lower()), child) for child in children]
    known = [(split, child) for split, child in named if split is not None]
    train = [child for split, child in known if split == "train"]
    if not train and len(known) == len(children) > 0 and all(_folders(child) for child in children):
        names = " and ".join(child.name for child in children)
        raise SourceError(f"{path} has {names} but no train folder; add one, or put the classes side by side")
    if not train or (len(known) == 1 and not (len(children) == 1 and _folders(train[0]))):
        return []
    others = [child.name for split, child in named if split is None]
    if others:
        splits = " and ".join(f"'{child.name}'" for _, child in known)
        raise SourceError(
            f"{path} has '{others[0]}' beside {splits}, which name splits; keep split folders or class folders there"
        )
    for split in dict(known):
        same = [child.name for other, child in known if other == split]
        if len(same) > 1:
            raise SourceError(f"{path} has {' and '.join(same)}, which both mean '{split}'; keep one of them")
    return known


def _pictures(path: Path, others: Counter[str], back: list[Path]) -> list[Path]:
    """The picture files under `path` in a fixed order. `others` counts other files by their endings.

    Linked folders are followed once each; those that lead back to what holds the link are added to `back`.
    """
    files: list[Path] = []
    followed: set[Path] = set()
    for root, inner, names in os.walk(path, followlinks=True):
        there = Path(root)
        inner[:] = sorted(child for child in inner if not child.startswith("."))
        for linked in [there / child for child in inner if (there / child).is_symlink()]:
            target = linked.resolve()
            if target in followed or any(place.is_relative_to(target) for place in (path.resolve(), there.resolve())):
                inner.remove(linked.name)
                back.append(linked)
            followed.add(target)
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(ENDINGS):
                files.append(there / name)
            else:
                others[Path(name).suffix.lower() or "none"] += 1
    return files


def _passed_over(path: Path, others: Counter[str], back: Sequence[Path]) -> tuple[str, ...]:
    """What was not looked at, in a line each."""
    notes = []
    if others:
        endings = ", ".join(ending for ending, _ in others.most_common(MOST_ENDINGS))
        count = others.total()
        notes.append(f"passed over {count} file{'s' * (count > 1)} without the extension of a picture ({endings})")
    if back:
        named = as_text(back[0].relative_to(path))
        links = f"{len(back)} link{'s' * (len(back) > 1)}"
        notes.append(f"passed over {links} to what was read already or holds the link, such as {named}")
    return tuple(notes)


def _children(path: Path) -> Iterator[Path]:
    return (child for child in sorted(path.iterdir()) if not child.name.startswith("."))


def _folders(path: Path) -> list[Path]:
    return [child for child in _children(path) if child.is_dir()]


def _known() -> str:
    return ", ".join(sorted(EXTENSIONS))

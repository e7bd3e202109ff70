"""A folder of pictures: SOURCE/class/*.jpg, or SOURCE/{train,val,test}/class/*."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_text
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.walk import Walk
from pennyweight.data.contents import Listed, read_samples, require_classes
from pennyweight.data.source import Source, Split, Unreadable

__all__ = ["SPLIT_NAMES", "class_folder", "folder"]

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
    walk = Walk(path)
    listings = {split: walk.listing(root) for split, root in roots.items()}
    labels = tuple(child.name for child in listings["train" if "train" in roots else None].folders)
    _require_listed(walk)
    if not labels:
        raise SourceError(f"{first} has no class folders; the pictures of each class go into a folder of its own")
    for name in labels:
        if as_text(name) != name:
            raise SourceError(f"class folder '{as_text(name)}' of {first} has a name that is not UTF-8; rename it")
    listed: list[Listed] = []
    for split, (classes, loose) in listings.items():
        for child in classes:
            if child.name not in labels:
                raise SourceError(f"{child} is a class that {first} does not have; it has {', '.join(labels)}")
        if loose:
            raise SourceError(
                f"{roots[split]} has pictures beside its class folders ({loose[0].name}); "
                "move each into the folder of its class"
            )
        for child in classes:
            files = list(walk.pictures(child))
            if not files:
                _require_listed(walk, child)
                raise SourceError(f"class folder {child} has no pictures; add some ({_known()}), or remove the folder")
            label = labels.index(child.name)
            listed += [(file, label, split, as_text(file.relative_to(path).as_posix()), None) for file in files]
    samples, unreadable, suits = read_samples(listed)
    require_classes(labels, samples, unreadable, path.resolve().name)
    return Source(
        name=path.resolve().name,
        address=address or str(path.resolve()),
        labels=labels,
        samples=samples,
        size=suits.size,
        channels=suits.channels,
        wide=suits.wide,
        notes=(*walk.notes(), *suits.notes),
        unreadable=(*(Unreadable(walk.name(lost.path), lost.reason) for lost in walk.lost), *unreadable),
    )


def class_folder(path: Path) -> Source | None:
    """Read a folder of pictures as one class that is called as the folder is; None for one that holds folders.

    To be scored, for training needs another class.
    """
    walk = Walk(path)
    found = walk.listing(path) if path.is_dir() else None
    if found is None or found.folders or not found.pictures or as_text(path.resolve().name) != path.resolve().name:
        return None
    samples, unreadable, suits = read_samples([(file, 0, None, file.name, None) for file in found.pictures])
    name = path.resolve().name
    require_classes((name,), samples, unreadable, name)
    return Source(
        name=name,
        address=str(path.resolve()),
        labels=(name,),
        samples=samples,
        size=suits.size,
        channels=suits.channels,
        wide=suits.wide,
        notes=(f"its pictures are scored as of the class '{name}', the name of their folder", *walk.notes()),
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


def _require_listed(walk: Walk, folder: Path | None = None) -> None:
    """Raise SourceError where a class folder, or this one, is a link that leads nowhere or may not be listed."""
    for lost in walk.lost:
        if folder is None or lost.path == folder:
            raise SourceError(f"cannot read class folder {as_text(lost.path)}: {lost.reason}; mend it, or remove it")


def _folders(path: Path) -> list[Path]:
    return Walk(path).listing(path).folders


def _known() -> str:
    return ", ".join(sorted(EXTENSIONS))

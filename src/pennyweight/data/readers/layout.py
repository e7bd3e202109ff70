"""Find the folders that are splits and those that are classes, by their names and contents."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pennyweight.core.errors import SourceError, nearest
from pennyweight.core.files import as_text, fault_of_name
from pennyweight.core.text import composed
from pennyweight.core.walk import Listing, Walk
from pennyweight.data.source import Split

__all__ = ["CLASSES", "SPLIT_NAMES", "Layout", "Place", "find_layout", "find_split"]

NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "validate", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
}
SPLIT_NAMES: dict[str, Split] = {name: split for split, names in NAMES.items() for name in names}
"""Word for a split -> the split."""
USUAL = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
"""Names of splits that need no note on how they were read."""
FILLERS = ("dataset", "data", "set", "split", "images", "imgs", "pictures", "photos", "folder")
"""Words that may accompany the name of a split: `training_set`, `test-images`, `valset`."""
MOST_SPLITS = 12
"""Largest number of folders that may be splits; more folders are classes, even if all hold the same names."""
SHOWN = 6
"""Largest number of names that a message gives."""
CLASSES = "classes:"
"""Prefix of a folder's path: its folders are classes, even if they look like splits."""


@dataclass(frozen=True)
class Place:
    """Folder with pictures of one class and split."""

    label: str
    split: Split | None
    folder: Path


@dataclass
class Layout:
    """Folders of each class and split, notes on them, and the reasons for which `fit` refuses them."""

    places: list[Place] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def find_split(name: str, siblings: Sequence[str] = ()) -> Split | None:
    """Return the split that a folder or a cell names, such as `Training_Set`, `seg-test`, `birds_valid`, or None.

    Words that all `siblings` share are ignored: `birds` of `birds_train` and `birds_test`.
    """
    shared = set.intersection(*(set(_words(each)) for each in siblings)) if len(siblings) > 1 else set()
    words = [word for word in _words(name) if word not in FILLERS and (word not in shared or word in SPLIT_NAMES)]
    joined = "".join(words)
    return SPLIT_NAMES.get(joined) or SPLIT_NAMES.get(_without_filler(joined)) if words else None


def find_layout(path: Path, walk: Walk, *, classes: bool = False, grouped: bool = False) -> Layout:
    """Find the class folders under `path`, and its splits if it has any.

    Args:
        path: The folder.
        walk: Listing of its folders, which collects what cannot be read.
        classes: Take no folder for a split.
        grouped: Take folders with equal names within the classes as groups, not as a sign of splits.

    Returns:
        The folders of each class and split. Faults that `fit` refuses are collected in it, so that `doctor` can
        report all of them.

    Raises:
        SourceError: The folder has no class folders.
    """
    found = Layout()
    top = walk.listing(path)
    if not classes:
        splits = _splits(path, top, walk, found)
        if splits:
            _add_splits(path, splits, walk, found)
            return found
        inner = _splits_within(top, walk)
        if inner:
            _add_splits_within(path, inner, walk, found)
            return found
        if not grouped and not found.refusals:
            _refuse_unnamed_splits(path, top, walk, found)
    _add_classes(path, None, top, found, known=None)
    if lost := next((each for each in walk.lost if each.path == path), None):
        raise SourceError(f"cannot read {path}: {lost.reason}")
    if not found.places:
        nothing = f"{path} has no class folders; the pictures of each class go into a folder of its own"
        raise SourceError(found.refusals[0] if found.refusals and top.folders else nothing)
    return found


def _words(name: str) -> list[str]:
    """Split a name into lower-case words without numbers: "TrainingSet 2017" -> training, set."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", composed(name))
    return [word for part in re.split(r"[\W_]+", spaced) if (word := part.strip("0123456789").casefold())]


def _without_filler(word: str) -> str:
    """Remove a filler from the end of a word: "trainset" -> train."""
    return next((word.removesuffix(each) for each in FILLERS if word.endswith(each)), word)


def _splits(path: Path, top: Listing, walk: Walk, found: Layout) -> list[tuple[Split, Path]]:
    """Return the folders that are splits by name: a training split with or without others; empty if there is none."""
    names = [child.name for child in top.folders]
    named = [(find_split(child.name, names), child) for child in top.folders]
    known = [(split, child) for split, child in named if split is not None]
    train = next((child for split, child in known if split == "train"), None)
    if train is None:
        if len(known) == len(named) > 0 and all(walk.listing(child).folders for child in top.folders):
            raise SourceError(
                f"{path} has {' and '.join(map(_name, top.folders))} but no train folder; add one, or put the classes "
                "side by side"
            )
        return []
    at, listing = _enter(train, walk)
    labels = {composed(child.name) for child in listing.folders}
    if len(known) == 1 and (len(named) > 1 or not labels):
        _refuse_training_alone(path, train, walk, named, labels, found)
        return []
    if not labels:
        raise SourceError(
            f"{at} has no class folders; the pictures of each class go into a folder of its own. If "
            f"{' and '.join(map(_name, top.folders))} are the classes, name the source {CLASSES}{path}"
        )
    splits: list[tuple[Split, Path]] = []
    for split, child in named:
        inner = _enter(child, walk, labels)[1]
        if not inner.folders:
            pictures = f"{len(inner.pictures):,} picture{'s' * (len(inner.pictures) != 1)}"
            found.notes.append(f"left out {_name(child)}: {pictures} and no class folders")
        elif split is None:
            others = " and ".join(f"'{_name(other)}'" for _, other in known)
            found.refusals.append(
                f"{path} has '{_name(child)}' next to {others}, which name splits; rename it train, val or test, or "
                "remove it"
            )
        else:
            splits.append((split, child))
    for split in dict(splits):
        same = [child for other, child in splits if other == split]
        if len(same) > 1:
            found.refusals.append(
                f"{path} has {' and '.join(map(_name, same))}, which both mean '{split}'; keep one of them, or rename "
                "one to train, val or test"
            )
    if taken := [f"{_name(child)} as {split}" for split, child in splits if child.name.casefold() not in USUAL]:
        found.notes.append(f"took {', '.join(taken)}")
    return splits


def _refuse_training_alone(
    path: Path, train: Path, walk: Walk, named: list[tuple[Split | None, Path]], labels: set[str], found: Layout
) -> None:
    """Refuse one training folder among others: it may be a split, or a class (a vehicle) that has subfolders."""
    if len(labels) < 2 or walk.listing(train).pictures:
        return
    others = [child for _, child in named if child != train]
    inner = [{composed(each.name) for each in walk.listing(child).folders} for child in others]
    if len(others) > MOST_SPLITS or not all(not names or names & labels for names in inner):
        return
    beside, inside = ", ".join(_shorten(map(_name, others))), ", ".join(_shorten(sorted(labels)))
    found.refusals.append(
        f"{path} has {_name(train)} with the folders {inside} next to {beside}. If {_name(train)} "
        f"is the training split, rename {beside} val or test, or remove them; if all are classes, name the source "
        f"{CLASSES}{path}"
    )


def _enter(root: Path, walk: Walk, labels: Collection[str] = ()) -> tuple[Path, Listing]:
    """Enter folders that hold nothing but one folder, unless it is one of `labels`; return (folder, its listing)."""
    at, listing = root, walk.listing(root)
    while len(listing.folders) == 1 and not listing.pictures:
        (inner,) = listing.folders
        again = inner.name.casefold() == at.name.casefold() or set(_words(inner.name)) <= set(FILLERS)
        if composed(inner.name) in labels or not (again or walk.listing(inner).folders):
            break
        at, listing = inner, walk.listing(inner)
    return at, listing


def _add_splits(path: Path, splits: list[tuple[Split, Path]], walk: Walk, found: Layout) -> None:
    """Add the class folders of each split, training first: the other splits must have its classes."""
    known: set[str] | None = None
    for split, root in sorted(splits, key=lambda row: row[0] != "train"):
        at, listing = _enter(root, walk, known or ())
        if at != root:
            found.notes.append(f"entered {walk.name(at)}, which is all that {walk.name(root)} holds")
        _add_classes(at, split, listing, found, known=known)
        if known is None:
            known = {place.label for place in found.places}


def _splits_within(top: Listing, walk: Walk) -> list[tuple[str, Split, Path]]:
    """Return (class, split, folder) rows if every class folder holds split folders, train among them; else empty."""
    rows: list[tuple[str, Split, Path]] = []
    for child in top.folders:
        inner = walk.listing(child)
        splits = [(find_split(each.name), each) for each in inner.folders]
        if inner.pictures or len(splits) < 2 or "train" not in dict(splits):
            return []
        for split, each in splits:
            if split is None or walk.listing(each).folders:
                return []
            rows.append((composed(child.name), split, each))
    return rows


def _add_splits_within(path: Path, rows: list[tuple[str, Split, Path]], walk: Walk, found: Layout) -> None:
    names = " and ".join(dict.fromkeys(split for _, split, _ in rows))
    found.notes.append(f"each class folder of {path} holds its own {names}")
    found.places += [Place(label, split, folder) for label, split, folder in rows]


def _refuse_unnamed_splits(path: Path, top: Listing, walk: Walk, found: Layout) -> None:
    """Refuse folders that hold nothing but folders of the same names: splits with unknown names look like that."""
    if top.pictures or not 2 <= len(top.folders) <= MOST_SPLITS:
        return
    inner = [walk.listing(child) for child in top.folders]
    names = [{composed(each.name) for each in listing.folders} for listing in inner]
    most = max(names, key=len)
    if any(listing.pictures for listing in inner) or any(len(each) < 2 or not each <= most for each in names):
        return
    tops, same = ", ".join(_shorten(map(_name, top.folders))), ", ".join(_shorten(sorted(most)))
    found.refusals.append(
        f"{path} has the folders {tops}, and each holds folders of the same names ({same}). If those are the classes, "
        f"rename {tops} to train, val and test; if {tops} are the classes, name the source {CLASSES}{path}"
    )


def _add_classes(
    at: Path, split: Split | None, listing: Listing, found: Layout, *, known: Collection[str] | None
) -> None:
    """Add the class folders of one folder; `known` are the training classes, None for the training split itself."""
    if listing.pictures:
        found.refusals.append(
            f"{at} has pictures next to its class folders ({_name(listing.pictures[0])}); move each into the folder of "
            "its class"
        )
    names: set[str] = set()
    for child in listing.folders:
        label = composed(child.name)
        if fault := fault_of_name(child.name):
            found.refusals.append(f"class folder '{_name(child)}' of {at} {fault}")
            continue
        if known is not None and label not in known:
            hint = nearest(label, known, otherwise=f"; it has {', '.join(_shorten(sorted(known)))}")
            found.refusals.append(f"{child} is a class that training does not have{hint}")
            continue
        if label in names:
            found.notes.append(
                f"{at} has two folders '{label}' whose accents are encoded differently: both are that class"
            )
        names.add(label)
        found.places.append(Place(label, split, child))


def _shorten(names: Iterable[str]) -> list[str]:
    """Return the first SHOWN names, and "N more" for the rest."""
    every = list(names)
    return every if len(every) <= SHOWN else [*every[:SHOWN], f"{len(every) - SHOWN} more"]


def _name(path: Path) -> str:
    return as_text(path.name)

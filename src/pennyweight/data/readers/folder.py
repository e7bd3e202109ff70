"""Folders of pictures: SOURCE/class/*.jpg, or SOURCE/{train,val,test}/class/*."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_text
from pennyweight.core.text import composed
from pennyweight.core.walk import Walk
from pennyweight.data.readers.contents import Listed, lost_classes, read_samples
from pennyweight.data.readers.layout import find_layout
from pennyweight.data.source import Source, Unreadable

__all__ = ["read_class_folder", "read_folder"]


def read_folder(path: Path, *, address: str | None = None, classes: bool = False, grouped: bool = False) -> Source:
    """Read the names and contents of the pictures under `path`, also in subfolders of the class folders.

    Links to folders are followed, except a link to a folder above it. Files without the extension of a picture are
    skipped; the others are decoded later.

    Args:
        path: The folder.
        address: String that opens the source again; by default the resolved path.
        classes: Take the top folders as classes, even if their names or contents look like splits.
        grouped: Take the folders within a class as groups, whose pictures stay in one split.

    Raises:
        SourceError: The folder holds no class folders. Other faults that `fit` refuses are in `Source.refusals`.
    """
    walk = Walk(path)
    layout = find_layout(path, walk, classes=classes, grouped=grouped)
    trained = [place.label for place in layout.places if place.split in (None, "train")]
    labels = tuple(sorted(set(trained)))
    listed: list[Listed] = []
    for place in layout.places:
        if place.label not in labels:  # a class without training pictures
            layout.refusals.append(f"the class of {place.folder} has no training pictures; add some, or remove it")
            continue
        files = list(walk.pictures(place.folder))
        if not files and not any(lost.path == place.folder for lost in walk.lost):
            layout.refusals.append(
                f"class folder {place.folder} has no pictures; add some (such as .jpg or .png), or remove the folder"
            )
        label = labels.index(place.label)
        listed += [(file, label, place.split, as_text(file.relative_to(path).as_posix()), None) for file in files]
    unlisted: list[Unreadable] = []
    for lost in walk.lost:
        of_class = any(lost.path == place.folder for place in layout.places)
        if of_class or (lost.path.parent == path and lost.kind == "dead link"):
            layout.refusals.append(
                f"cannot read class folder {as_text(lost.path)}: {lost.reason}; mend it, or remove it"
            )
        else:
            unlisted.append(Unreadable(walk.name(lost.path), lost.reason))
    if not listed:
        raise SourceError(layout.refusals[0] if layout.refusals else f"{path} has no pictures")
    found = read_samples(listed)
    suggested = found.input
    return Source(
        name=path.resolve().name,
        address=address or str(path.resolve()),
        labels=labels,
        samples=found.samples,
        size=suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(*layout.notes, *walk.notes(), *suggested.notes),
        unreadable=(*unlisted, *found.unreadable),
        refusals=(*layout.refusals, *lost_classes(labels, listed, found, path.resolve().name)),
    )


def read_class_folder(path: Path) -> Source | None:
    """Read a folder of pictures as one class with the folder's name, to be scored; None for a folder of folders."""
    walk = Walk(path)
    found = walk.listing(path) if path.is_dir() else None
    if found is None or found.folders or not found.pictures or as_text(path.resolve().name) != path.resolve().name:
        return None
    name = composed(path.resolve().name)
    listed: list[Listed] = [(file, 0, None, as_text(file.name), None) for file in found.pictures]
    contents = read_samples(listed)
    samples, unreadable, suggested = contents
    return Source(
        name=name,
        address=str(path.resolve()),
        labels=(name,),
        samples=samples,
        size=suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(f"its pictures are scored as of the class '{name}', the name of their folder", *walk.notes()),
        unreadable=unreadable,
        refusals=lost_classes((name,), listed, contents, name),
    )

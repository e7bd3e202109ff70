"""Walk over folders of pictures by one set of rules, with notes on skipped files.

`fit`, `doctor` and `predict` therefore see the same files.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pennyweight.core.files import as_text, is_utf8, special_kind
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.reasons import such_as

__all__ = ["Listing", "Passed", "Walk", "is_hidden", "is_system"]

ENDINGS = tuple(EXTENSIONS)
SYSTEM = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", ".snapshot", ".snapshots",
        "__macosx", ".appledouble", ".documentrevisions-v100", ".fseventsd", ".spotlight-v100", ".temporaryitems",
        ".trashes", ".trash",
        "$recycle.bin", "system volume information", "lost+found",
        ".ipynb_checkpoints", "__pycache__", ".git", ".hg", ".svn", ".dvc", ".picasaoriginals", ".thumbnails",
        ".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini",
    }
)  # fmt: skip
"""Names, in lower case, of files and folders that belong to systems and programs."""
SYSTEM_BEGINNINGS = ("._", ".trash-", ".nfs")
KEPT = 1_000
"""Largest number of skipped paths of a kind to keep; beyond it only the count grows, so that memory is bounded."""
MOST_ENDINGS = 5
"""Largest number of file extensions of skipped files that a note names."""

Kind = Literal["unlisted", "dead link", "read already", "special", "system", "hidden"]
LOST: tuple[Kind, Kind] = ("unlisted", "dead link")
"""Kinds that may hide pictures; each such path is reported by itself, like an unreadable picture."""
NOTED: dict[Kind, tuple[str, str]] = {
    "read already": ("link to a folder that is read already", "links to folders that are read already"),
    "special": ("special file", "special files"),
    "system": ("system folder", "system folders"),
    "hidden": ("hidden folder or picture", "hidden folders or pictures"),
}
"""Other kind -> its singular and plural in notes."""


class Passed(NamedTuple):
    """Path that the walk skipped, and the reason."""

    kind: Kind
    path: Path
    reason: str = ""


class Listing(NamedTuple):
    """Folders and picture files of one folder, each sorted by name."""

    folders: list[Path]
    pictures: list[Path]


class Walk:
    """Walk over the folders under `root`, with a record of skipped paths.

    Links are followed, and each folder is read once. Hidden names and system names (`@eaDir`, `__MACOSX`, …) are
    skipped; files without a picture's ending are counted. The walk opens no file: a name with a picture's ending is
    listed even if it is a dead link or a pipe, and its reader reports the reason.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.others: Counter[str] = Counter()
        """Endings, in lower case, of files without a picture's ending -> count."""
        self.counts: Counter[Kind] = Counter()
        """Kind -> number of skipped paths."""
        self.passed: list[Passed] = []
        """Skipped paths, at most KEPT of each kind."""
        self._listed: dict[Path, Listing] = {}
        """Listings of single folders, kept so that each folder is listed and reported once."""
        self.not_utf8 = 0
        """Number of pictures and folders whose names are not UTF-8."""

    @property
    def lost(self) -> list[Passed]:
        """Return the folders that could not be listed and the dead links, at most KEPT of each."""
        return [each for each in self.passed if each.kind in LOST]

    def pictures(self, folder: Path | None = None) -> Iterator[Path]:
        """Yield the picture files under `folder` (default `root`): those of a folder by name, then its subfolders'.

        Memory holds the names in one folder, and the subfolders that are still to be read.
        """
        top = self.root if folder is None else folder
        read = {os.path.realpath(top)}
        waiting = [top]
        while waiting:
            here = waiting.pop()
            if here is not top and here.is_symlink():
                target = os.path.realpath(here)
                if _covered(target, read) or Path(os.path.realpath(here.parent)).is_relative_to(target):
                    self._pass("read already", here)
                    continue
                read.add(target)
            elif here is not top and len(read) > 1 and os.path.realpath(here) in read:
                continue  # a link has led here already
            found = self._listed.pop(here, None) or self._list(here)
            yield from found.pictures
            waiting += reversed(found.folders)

    def listing(self, folder: Path) -> Listing:
        """List one folder; a folder that cannot be listed is skipped as "unlisted", and its listing is empty."""
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def _list(self, folder: Path) -> Listing:
        folders: list[str] = []
        pictures: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not self._is_system(entry):
                        self._sort(entry, folders, pictures)
        except OSError as error:
            self._pass("unlisted", folder, f"the folder cannot be listed: {error.strerror}")
        return Listing([folder / name for name in sorted(folders)], [folder / name for name in sorted(pictures)])

    def notes(self) -> tuple[str, ...]:
        """Return a line for each kind of skipped path."""
        lines = []
        if self.others:
            count = self.others.total()
            named = ", ".join(f"{number} {ending}" for ending, number in self.others.most_common(MOST_ENDINGS))
            lines.append(f"skipped {count:,} file{'s' * (count > 1)} without the extension of a picture ({named})")
        for kind, names in NOTED.items():
            if count := self.counts[kind]:
                known = [each for each in self.passed if each.kind == kind]
                reason = f" ({known[0].reason})" if known[0].reason else ""
                examples = such_as([self.name(each.path) for each in known if each.reason == known[0].reason])
                lines.append(f"skipped {count:,} {names[count > 1]}, such as {examples}{reason}")
        if more := sum(self.counts[kind] for kind in LOST) - len(self.lost):
            lines.append(f"{more:,} more folders and links could not be read")
        if count := self.not_utf8:
            lines.append(
                f"{count:,} name{'s are' if count > 1 else ' is'} not UTF-8, and shown with escapes such as \\xff"
            )
        return tuple(lines)

    def name(self, path: Path) -> str:
        """Return the path within `root`, for people and JSON."""
        return as_text(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _is_system(self, entry: os.DirEntry[str]) -> bool:
        """Return whether an entry is skipped because of its name, and record it."""
        if is_system(entry.name):
            if _is_folder(entry):
                self._pass("system", Path(entry.path))
            return True
        if is_hidden(entry.name):
            if _is_folder(entry) or entry.name.lower().endswith(ENDINGS):
                self._pass("hidden", Path(entry.path))
            return True
        return False

    def _sort(self, entry: os.DirEntry[str], folders: list[str], pictures: list[str]) -> None:
        """Add an entry's name to the folders or the pictures, or skip the entry."""
        if not is_utf8(entry.name):
            self.not_utf8 += 1
        if _is_folder(entry):
            folders.append(entry.name)
        elif entry.name.lower().endswith(ENDINGS):
            pictures.append(entry.name)
        else:
            self._sort_other(entry)

    def _sort_other(self, entry: os.DirEntry[str]) -> None:
        try:
            mode = entry.stat().st_mode
        except FileNotFoundError:
            self._pass("dead link", Path(entry.path), f"it is a link to {_target(entry)}, which is not there")
        except OSError as error:  # circular links, and targets without permission
            self._pass("dead link", Path(entry.path), f"it is a link to {_target(entry)}: {error.strerror}")
        else:
            if stat.S_ISREG(mode):
                ending = Path(entry.name).suffix.lower() or "without any"
                self.others[ending if ending in self.others or len(self.others) < KEPT else "of others"] += 1
            else:
                self._pass("special", Path(entry.path), f"it is {special_kind(mode)}")

    def _pass(self, kind: Kind, path: Path, reason: str = "") -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT:
            self.passed.append(Passed(kind, path, reason))


def is_system(name: str) -> bool:
    """Return whether a file or folder of this name, in any case, belongs to a system or a program."""
    low = name.lower()
    return low in SYSTEM or low.startswith(SYSTEM_BEGINNINGS)


def is_hidden(name: str) -> bool:
    """Return whether a name begins with a dot."""
    return name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # circular links, and targets without permission
        return False


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return as_text(Path(entry.path).readlink())
    except OSError:
        return "something"


def _covered(target: str, read: set[str]) -> bool:
    """Return whether a folder is among those in `read`, or below one of them without a hidden folder between."""
    above = target
    while above not in read:
        above, inner = os.path.split(above)
        if not inner or is_hidden(inner) or is_system(inner):
            return False
    return True

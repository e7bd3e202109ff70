"""One walk over folders of pictures, which says what it passed over.

`fit`, `doctor` and `predict` see the same files.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pennyweight.core.files import as_text, special_kind
from pennyweight.core.images import EXTENSIONS

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
"""Names, in small letters, that systems and programs give to what is no data."""
SYSTEM_BEGINNINGS = ("._", ".trash-", ".nfs")
KEPT = 1_000
"""Paths of a kind that are kept to be named; beyond them only the count grows, so that memory is bounded."""
MOST_ENDINGS = 5
"""Endings of other files that a note names."""

Kind = Literal["unlisted", "dead link", "read already", "special", "system", "hidden"]
LOST: tuple[Kind, Kind] = ("unlisted", "dead link")
"""Kinds behind which pictures may lie: each is told by itself, as a picture that cannot be read is."""
SAID: dict[Kind, tuple[str, str]] = {
    "read already": ("link to a folder that is read already", "links to folders that are read already"),
    "special": ("special file", "special files"),
    "system": ("system folder", "system folders"),
    "hidden": ("hidden folder or picture", "hidden folders or pictures"),
}
"""The other kinds -> how a note names one of them, and several."""


class Passed(NamedTuple):
    """A path that the walk did not enter or give, and the reason."""

    kind: Kind
    path: Path
    reason: str = ""


class Listing(NamedTuple):
    """The folders and the picture files of one folder, each sorted by name."""

    folders: list[Path]
    pictures: list[Path]


class Walk:
    """Lists folders under `root` by one set of rules, and keeps what it passed over.

    Links are followed, a folder is read once. Hidden names and those of systems (`@eaDir`, `__MACOSX`, …) are passed
    over, files with other endings than a picture's are counted. A name with a picture's ending is always given, also of
    a dead link or a pipe, because whoever reads it says why that fails; nothing is opened here.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.others: Counter[str] = Counter()
        """Files without a picture's ending: their endings, in small letters, with counts."""
        self.counts: Counter[Kind] = Counter()
        """What was passed over: how many of each kind."""
        self.passed: list[Passed] = []
        """What was passed over: at most KEPT of each kind."""
        self._listed: dict[Path, Listing] = {}
        """Folders that were listed by themselves, so that each is listed and told of once."""
        self.not_utf8 = 0
        """Names of pictures and folders that are not UTF-8."""

    @property
    def lost(self) -> list[Passed]:
        """Return the folders that could not be listed and the links that lead nowhere, at most KEPT of each."""
        return [each for each in self.passed if each.kind in LOST]

    def pictures(self, folder: Path | None = None) -> Iterator[Path]:
        """Yield the picture files under `folder` (default `root`): those of a folder by name, then its folders'.

        Lazily: the names of one folder are in memory, and of those above it the folders that are yet to come.
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
                continue  # a link led here before
            found = self._listed.pop(here, None) or self._list(here)
            yield from found.pictures
            waiting += reversed(found.folders)

    def listing(self, folder: Path) -> Listing:
        """List one folder. Where that is not allowed it is passed over as "unlisted", and the answer is empty."""
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
        """Say what was passed over, a line for each kind."""
        lines = []
        if self.others:
            count = self.others.total()
            named = ", ".join(f"{number} {ending}" for ending, number in self.others.most_common(MOST_ENDINGS))
            lines.append(f"passed over {count:,} file{'s' * (count > 1)} without the extension of a picture ({named})")
        for kind, names in SAID.items():
            if count := self.counts[kind]:
                first = next(each for each in self.passed if each.kind == kind)
                reason = f" ({first.reason})" if first.reason else ""
                lines.append(f"passed over {count:,} {names[count > 1]}, such as {self.name(first.path)}{reason}")
        if more := sum(self.counts[kind] for kind in LOST) - len(self.lost):
            lines.append(f"{more:,} more folders and links could not be read than are named")
        if count := self.not_utf8:
            lines.append(f"{count:,} name{'s are' if count > 1 else ' is'} not UTF-8, and shown with �")
        return tuple(lines)

    def name(self, path: Path) -> str:
        """Return the path within `root`, for people and JSON."""
        return as_text(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _is_system(self, entry: os.DirEntry[str]) -> bool:
        """Return whether an entry is passed over by its name alone."""
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
        """Put an entry's name among the folders or the pictures, or pass it over."""
        if as_text(entry.name) != entry.name:
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
        except OSError as error:  # of links in a circle, and where the target may not be looked at
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
    """Return whether a file or folder of this name is a system's or a program's own, whatever its case."""
    low = name.lower()
    return low in SYSTEM or low.startswith(SYSTEM_BEGINNINGS)


def is_hidden(name: str) -> bool:
    """Return whether a name begins with a dot."""
    return name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # of links in a circle, and where the target may not be looked at
        return False


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return as_text(Path(entry.path).readlink())
    except OSError:
        return "something"


def _covered(target: str, read: set[str]) -> bool:
    """Return whether a folder is among those `read`, or lies in one that leads to it without a link."""
    above = target
    while above not in read:
        above, inner = os.path.split(above)
        if not inner or is_hidden(inner) or is_system(inner):
            return False
    return True

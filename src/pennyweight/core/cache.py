"""The folder of files that can be had again: downloads, decoded pictures, facts of pictures, measurements.

It is $PENNYWEIGHT_CACHE, else the user's cache folder. A container often runs as a user without name and home
(`docker run --user 1234`): then it is a private folder in the temporary folder, and without that nothing is kept.

`import pennyweight` asks for it, so that what only some answers need is imported where they need it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["LENT", "VARIABLE", "cache_folder", "cached_file", "cached_files", "lend_folders", "make_cache_folder"]

LENT = {"MPLCONFIGDIR": "matplotlib", "HF_HOME": "huggingface"}
"""Variable of another library -> the kind of folder that it is lent, where it would write into a missing home."""

READ_THERE = "huggingface"
"""Folder that is not lent where the user has one: the files of an image are read from it, though none can be added."""

VARIABLE = "PENNYWEIGHT_CACHE"
"""Environment variable with the user's own folder, which is taken without a test: errors name it."""
OTHER = f"name another folder by ${VARIABLE}"
NOWHERE = Path(os.devnull, "pennyweight")
"""Folder that cannot be made: nothing is found there, and each part says that it cannot keep its files."""


def cache_folder(kind: str) -> Path:
    """Return the folder for files of a kind, such as "weights"; it may not exist yet (`make_cache_folder`)."""
    own, users = os.environ.get(VARIABLE), _users_folder()
    if own:
        return Path(own, kind)
    if users is not None and _can_write(users):
        return users / kind
    return (_temporary_folder() or users or NOWHERE) / kind


def cached_file(kind: str, *names: str) -> Path:
    """Return the path of a file of the cache, to read it or to write it.

    A file in the user's cache folder is read also where that folder cannot be written, as in a container's image. A
    file that was written since takes its place.
    """
    ours, *others = (folder.joinpath(*names) for folder in _folders(kind))
    return next((path for path in (ours, *others) if os.access(path, os.R_OK)), ours)


def cached_files(kind: str, pattern: str) -> list[Path]:
    """Return the paths of the files of a kind whose names match a pattern, in the order of their names."""
    names = {path.name for folder in _folders(kind) for path in folder.glob(pattern)}
    return [cached_file(kind, name) for name in sorted(names)]


def _folders(kind: str) -> list[Path]:
    """Return the folder for files of a kind, and then the one of a home that can only be read."""
    users = None if os.environ.get(VARIABLE) else _users_folder()
    return list(dict.fromkeys([cache_folder(kind), *([] if users is None else [users / kind])]))


def make_cache_folder(folder: Path) -> None:
    """Make a folder of the cache; say once if it is in the temporary folder, or cannot be made. Raises OSError."""
    from pennyweight.core.files import as_text

    users, temporary = _users_folder(), _temporary_folder()
    ours = users is not None and folder.is_relative_to(users) and _can_write(users)
    if not os.environ.get(VARIABLE) and not ours:
        why = "there is no home folder" if users is None else f"{as_text(users)} cannot be written"
        if temporary is not None and folder.is_relative_to(temporary):
            temporary.mkdir(mode=0o700, exist_ok=True)
            if _temporary_folder() != temporary:  # another user made it meanwhile
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(temporary))
            _say_once(f"{why}: files are kept in {as_text(temporary)}, which a new container lacks; {OTHER}")
        elif folder.is_relative_to(users or NOWHERE):
            _say_once(f"{why}, and there is no temporary folder of this user alone: nothing is kept; {OTHER}")
    folder.mkdir(parents=True, exist_ok=True)


def lend_folders() -> None:
    """Set every variable of `LENT` that the user has not set, if there is no home folder that can be written."""
    users, folder = _users_folder(), cache_folder("")
    if (users is None or not _can_write(users)) and folder not in (users, NOWHERE):
        if folder == _temporary_folder():
            with suppress(OSError):  # made here: another library would leave it open to others, by the user's umask
                folder.mkdir(mode=0o700, exist_ok=True)
        for name, kind in LENT.items():
            if users is None or kind != READ_THERE or not (users.parent / kind).is_dir():
                os.environ.setdefault(name, str(folder / kind))


@cache
def _say_once(line: str) -> None:
    from pennyweight.core.text import say

    if os.environ.get("RANK", "0") == "0":
        say(line, error=True)


def _users_folder() -> Path | None:
    """Return the user's cache folder; None for a user without a home."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("pennyweight", appauthor=False))
    except (RuntimeError, KeyError, OSError):
        return None
    return folder if folder.is_absolute() else None


def _can_write(folder: Path) -> bool:
    """Return whether a folder can be made, or written if it exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _temporary_folder() -> Path | None:
    """Return this user's private folder in the temporary folder; None if it cannot be had, or is another user's."""
    import tempfile

    try:
        parent = Path(tempfile.gettempdir())
        working = Path.cwd()
    except OSError:
        return None
    if parent == working and os.environ.get("TMPDIR") != str(parent):  # Python's last resort, often with data in it
        return None
    if not hasattr(os, "getuid"):
        return parent / "pennyweight"
    folder = parent / f"pennyweight-{os.getuid()}"
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if private else None

"""Objects that travel to other processes as their file: pickled, or inherited by a fork, they open it again.

Only the file's path, its digest and the arguments of the function that opens it are pickled. A process opens it once.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

from pennyweight.core.errors import BundleError
from pennyweight.core.files import sha256

__all__ = ["Origin", "Stamp", "keep_inherited", "reopen"]

MOST = 8
"""Objects that a process keeps to unpickle them again, as joblib does for every task; the latest ones."""


class Stamp(NamedTuple):
    """Facts by which a file is known to be unchanged, without reading it."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> Stamp:
        """Return the stamp of a file; of a missing one, zeros."""
        try:
            found = os.stat(path)  # noqa: PTH116
        except OSError:
            return cls(0, 0, 0)
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def text(self) -> str:
        """Return size and date as text that other machines with the same file give too; empty for a missing file."""
        return f"{self.size} bytes of {self.modified_ns}" if self.inode else ""


@dataclass(frozen=True)
class Origin:
    """File of an object as it was when the object was made, and the function that makes it again."""

    opener: Callable[..., Any]
    """Function of a module: `opener(path, *arguments)`."""
    path: str
    file: str
    """File that decides whether the object would be another one now."""
    stamp: Stamp
    arguments: tuple[Any, ...] = ()

    @classmethod
    def of(cls, opener: Callable[..., Any], path: Path, *arguments: Any, file: Path | None = None) -> Origin:
        """Return the origin of what `opener(path, *arguments)` makes, with the stamp of `file`, by default `path`."""
        place = os.path.abspath(file or path)  # noqa: PTH100 - links stay, as the user gave them
        return cls(opener, os.path.abspath(path), place, Stamp.of(place), arguments)  # noqa: PTH100

    def require_unchanged(self) -> None:
        """Raise BundleError where the file is another one now, or is gone."""
        if Stamp.of(self.file) != self.stamp:
            raise _changed(self.file)

    def travel(self, made: Any) -> tuple[Any, ...]:
        """Return what pickle keeps of `made`. Raises BundleError where the file has changed."""
        self.require_unchanged()
        digest = _digest(self.file, self.stamp)
        _kept.keep((self.opener, self.path, digest, self.arguments), made, self.stamp)
        return reopen, (self.opener, self.path, self.file, digest, *self.arguments)


def reopen(opener: Callable[..., Any], path: str, file: str, digest: str, *arguments: Any) -> Any:
    """Return what `opener(path, *arguments)` makes, once in each process.

    Raises BundleError where the file is not here, or where its SHA-256 is not `digest`.
    """
    stamp, key = Stamp.of(file), (opener, path, digest, arguments)
    if not stamp.inode and not Path(file).is_file():
        raise BundleError(
            f"no file {file} here; a classifier travels as its file, so put it where every process reads it"
        )
    with _kept.lock:
        found = _kept.find(key, stamp)
        if found is None:
            if _digest(file, stamp) != digest:
                raise _changed(file)
            found = opener(Path(path), *arguments)
            _kept.keep(key, found, stamp)
        return found


def keep_inherited(made: Any) -> None:
    """Keep an object that a fork inherited: its threads are not in this process, and ending it would wait for them."""
    _inherited.append(made)


class _Kept:
    """Objects that this process has made of files, the latest MOST."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without objects, and with a lock that no thread holds."""
        self.lock = RLock()
        self._made: OrderedDict[Any, tuple[Any, Stamp]] = OrderedDict()

    def find(self, key: Any, stamp: Stamp) -> Any:
        """Return the object of an unchanged file, or None."""
        made, known = self._made.get(key, (None, None))
        return made if known == stamp else None

    def keep(self, key: Any, made: Any, stamp: Stamp) -> None:
        """Keep an object, and let go of the oldest beyond MOST."""
        with self.lock:
            self._made[key] = made, stamp
            self._made.move_to_end(key)
            while len(self._made) > MOST:
                self._made.popitem(last=False)

    def after_fork(self) -> None:
        """Begin again in a forked process."""
        keep_inherited(self._made)
        self.forget()


_kept = _Kept()
_inherited: list[Any] = []
_digests: dict[tuple[str, Stamp], str] = {}

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_kept.after_fork)


def _digest(file: str, stamp: Stamp) -> str:
    """Return the SHA-256 of a file, which is read again only where its stamp has changed."""
    if (file, stamp) not in _digests:
        _digests[file, stamp] = sha256(Path(file))
    return _digests[file, stamp]


def _changed(file: str) -> BundleError:
    return BundleError(f"{file} has changed since the classifier was loaded from it; load it again")

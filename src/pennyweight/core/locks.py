"""Locks of files and folders, which a killed process loses."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import RunError
from pennyweight.core.reading import reason_of

fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows, where two processes that fill one cache entry both do the work
    fcntl = None

__all__ = ["LOCK", "HeldError", "holding", "locked"]

LOCK = ".lock"
"""The file in a folder that is locked while a process writes to the folder; its text names that process."""
HOLDER = "process "


class HeldError(RunError):
    """A folder that another process, or another call of this one, is writing to."""


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of the file `path`, which is made if it is missing; give True if it is held.

    With `wait` it always is, or OSError is raised; without, a disk that knows no locks gives False too.
    """
    if fcntl is None:
        yield True
        return
    with path.open("ab") as file:  # the content stays as it is
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if wait:
                raise
            yield False
            return
        yield True


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold `folder`, which exists, against every other process and call. Raises HeldError that names the holder."""
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise HeldError(
            f"{folder} is being written by {_holder(path)}: wait until that ends, or name another --out"
        ) from None
    except OSError as error:
        raise RunError(f"cannot hold {folder}: {reason_of(error)}") from error
    with ExitStack() as stack:
        stack.callback(lock.release)
        stack.callback(_remove, path)  # while it is held: whoever opened it meanwhile sees that it is gone
        if not _text(path) or _text(path).startswith(HOLDER):  # a disk without locks has the marker of filelock there
            with suppress(OSError):
                path.write_text(f"{HOLDER}{os.getpid()} on {platform.node()}", encoding="utf-8")
        yield


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _holder(path: Path) -> str:
    """Return who holds a lock, as its file says."""
    text = _text(path)
    return text if text.startswith(HOLDER) else "another process"

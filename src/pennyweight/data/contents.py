"""The contents of files as digests, many at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import as_text
from pennyweight.core.machine import cores
from pennyweight.data.source import Sample, Split, Unreadable

__all__ = ["Listed", "read_samples", "require_classes"]

TURN = 64
"""Files that a thread reads before it asks for more."""
NO_WAITING = getattr(os, "O_NONBLOCK", 0)
BLOCK_BYTES = 1 << 20
"""Most pictures are read at once."""

Listed = tuple[Path, int, Split | None, str, str | None]
"""A file, its label, split, name and group: a Sample but for its digest."""


def read_samples(files: Sequence[Listed]) -> tuple[tuple[Sample, ...], tuple[Unreadable, ...]]:
    """(the samples of the files that can be read, those that cannot with the reason); the order stays."""
    turns = [files[start : start + TURN] for start in range(0, len(files), TURN)]
    # Hashing leaves Python's lock, so threads are enough.
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        digests = [digest for turn in pool.map(_digests, turns) for digest in turn]
    samples: list[Sample] = []
    unreadable: list[Unreadable] = []
    for (path, label, split, name, group), digest in zip(files, digests, strict=True):
        if isinstance(digest, OSError):
            unreadable.append(Unreadable(name, f"cannot read {as_text(path)}: {digest.strerror}"))
        else:
            samples.append(Sample(path, label, digest, split, name, group))
    return tuple(samples), tuple(unreadable)


def require_classes(
    labels: Sequence[str], samples: Sequence[Sample], unreadable: Sequence[Unreadable], source: str
) -> None:
    """Raise SourceError where none of the files of a class could be read."""
    if lost := set(range(len(labels))) - {sample.label for sample in samples}:
        raise SourceError(
            f"class '{labels[min(lost)]}' of {source} has no picture that can be read; the first lost is "
            f"{unreadable[0].name} ({unreadable[0].reason})"
        )


def _digests(files: Sequence[Listed]) -> list[str | OSError]:
    return [_digest(path) for path, *_ in files]


def _at_once(path: str, flags: int) -> int:
    """A pipe is opened without waiting for who writes to it."""
    return os.open(path, flags | NO_WAITING)


def _digest(path: Path) -> str | OSError:
    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0, opener=_at_once) as content:
            if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
                return OSError(errno.EINVAL, "it is no file")
            while block := content.read(BLOCK_BYTES):
                found.update(block)
    except OSError as error:
        return error
    return found.hexdigest()

"""The contents of files as digests, many at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pennyweight.core.files import as_text
from pennyweight.core.machine import cores
from pennyweight.data.source import Sample, Split, Unreadable

__all__ = ["Listed", "read_samples"]

Listed = tuple[Path, int, Split | None, str, str | None]
"""A file, its label, split, name and group: a Sample but for its digest."""


def read_samples(files: Sequence[Listed]) -> tuple[tuple[Sample, ...], tuple[Unreadable, ...]]:
    """(the samples of the files that can be read, those that cannot with the reason); the order stays."""
    # Hashing leaves Python's lock, so threads are enough.
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        digests = list(pool.map(lambda row: _digest(row[0]), files, chunksize=64))
    samples: list[Sample] = []
    unreadable: list[Unreadable] = []
    for (path, label, split, name, group), digest in zip(files, digests, strict=True):
        if isinstance(digest, OSError):
            unreadable.append(Unreadable(name, f"cannot read {as_text(path)}: {digest.strerror}"))
        else:
            samples.append(Sample(path, label, digest, split, name, group))
    return tuple(samples), tuple(unreadable)


def _digest(path: Path) -> str | OSError:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return error

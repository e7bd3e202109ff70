"""Digests and headers of many pictures, read by several threads."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import as_text, require_file
from pennyweight.core.images import Header
from pennyweight.core.machine import cores
from pennyweight.core.reading import reason_of
from pennyweight.core.reasons import reason_alone
from pennyweight.data.digests import MOST_BYTES, Digests, digest_of_array, digests_of_file
from pennyweight.data.readers.input_size import SuggestedInput, aspect_of, header_or_none, suggest_input
from pennyweight.data.source import Sample, Split, Stored, Unreadable

__all__ = ["Contents", "Listed", "lost_classes", "read_samples"]

TURN = 64
"""Files that a thread reads at a time."""
NO_WAITING = getattr(os, "O_NONBLOCK", 0)
BLOCK_BYTES = MOST_BYTES
"""Size of a read; most pictures fit into one."""
HEADERS = 20_000
"""Largest number of headers to read; of more pictures a random sample. Pillow takes twice as long as hashing does."""

Listed = tuple[Path | NDArray[Any] | Stored, int, Split | None, str, str | None]
"""Picture, label, split, name and group: the fields of a Sample without its digests."""


class Contents(NamedTuple):
    """Samples of the readable files, in order, and the unreadable files with the reason of each."""

    samples: tuple[Sample, ...]
    unreadable: tuple[Unreadable, ...]
    input: SuggestedInput


class _Facts(NamedTuple):
    digests: Digests
    header: Header | None


def read_samples(files: Sequence[Listed]) -> Contents:
    """Read every picture once, for its digests and its header; more than HEADERS give a random sample of headers."""
    many = len(files) > HEADERS
    chosen = set(Random(0).sample(range(len(files)), HEADERS)) if many else range(len(files))  # noqa: S311

    def look_at(turn: range) -> list[_Facts | OSError]:
        return [_look_at(files[number][0], with_header=number in chosen) for number in turn]

    turns = [range(start, min(start + TURN, len(files))) for start in range(0, len(files), TURN)]
    # Hashing releases the GIL, so threads are enough.
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        found = [each for turn in pool.map(look_at, turns) for each in turn]
    samples: list[Sample] = []
    unreadable: list[Unreadable] = []
    headers: list[tuple[str, Header | None]] = []
    for (picture, label, split, name, group), each in zip(files, found, strict=True):
        if isinstance(each, OSError):
            where = as_text(picture) if isinstance(picture, Path) else name
            reason = str(each.strerror).removeprefix(f"cannot read {where}: ")
            unreadable.append(
                Unreadable(name, reason if reason.startswith("cannot read ") else f"cannot read {where}: {reason}")
            )
        else:
            content, file = each.digests
            samples.append(Sample(picture, label, content, split, name, group, aspect_of(each.header), file))
            headers.append((name, each.header))
    suggested = suggest_input(headers)
    if many:
        note = f"input size, shape and channels are those of {HEADERS:,} of {len(files):,} pictures, drawn at random"
        suggested = suggested._replace(notes=(*suggested.notes, note))
    return Contents(tuple(samples), tuple(unreadable), suggested)


def lost_classes(labels: Sequence[str], listed: Sequence[Listed], found: Contents, source: str) -> tuple[str, ...]:
    """Return a line for each class that has files, but none that can be read."""
    lost = {label for _, label, *_ in listed} - {sample.label for sample in found.samples}
    reasons = dict(found.unreadable)
    lines = []
    for label in sorted(lost):
        name = next(name for _, of, _, name, _ in listed if of == label)
        lines.append(
            f"class '{labels[label]}' of {source} has no picture that can be read; the first lost is {name} "
            f"({reason_alone(name, reasons[name])})"
        )
    return tuple(lines)


def _open_without_blocking(path: str, flags: int) -> int:
    """Open a file without blocking, for a pipe that no process writes to."""
    return os.open(path, flags | NO_WAITING)


def _look_at(picture: Path | NDArray[Any] | Stored, *, with_header: bool) -> _Facts | OSError:
    if isinstance(picture, Path):
        return _read_file(picture, with_header=with_header)
    try:
        content = picture if isinstance(picture, np.ndarray) else picture.read()
    except (PennyweightError, OSError) as error:
        return OSError(errno.EIO, reason_of(error))
    header = header_or_none(content) if with_header else None
    if isinstance(content, np.ndarray):
        return _Facts(Digests(digest_of_array(content), ""), header)
    return _Facts(digests_of_file(content), header)


def _read_file(path: Path, *, with_header: bool) -> _Facts | OSError:
    digest = hashlib.sha256()
    try:
        require_file(path)
        with open(path, "rb", buffering=0, opener=_open_without_blocking) as content:
            if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
                return OSError(errno.EINVAL, "it is no file")  # replaced after `require_file`
            first = block = content.read(BLOCK_BYTES)
            while block:
                digest.update(block)
                block = content.read(BLOCK_BYTES)
    except OSError as error:
        return error
    whole = first if len(first) < BLOCK_BYTES else None
    header = header_or_none(path if whole is None else whole) if with_header else None
    digests = Digests(digest.hexdigest(), "") if whole is None else digests_of_file(whole, digest.hexdigest())
    return _Facts(digests, header)

"""What shards hold, read once and remembered: without it nobody knows how many samples there are, and of which class.

Every sample is decoded, so that what cannot be read shows before a training and not in its midst. Shards whose size
and date stay are not read again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pennyweight.core.download import cache_folder
from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.files import atomic
from pennyweight.core.images import Header, decode_bands, header
from pennyweight.core.machine import cores
from pennyweight.core.reading import reason_of
from pennyweight.core.text import say
from pennyweight.data.readers.columns import label_names
from pennyweight.data.readers.input_size import suited
from pennyweight.data.readers.shard import LABELS, Example
from pennyweight.data.readers.shards import Shards
from pennyweight.data.source import Sample, Source, Unreadable

__all__ = ["Index", "Streamed"]

AT_ONCE = 256
"""Samples that are decoded together; they are held as encoded files."""
HELD_BYTES = 64 << 20
"""Bytes of these files from which on fewer are."""
FORMAT = 2
Row = tuple[str, str, str, int, str, tuple[int, int, int], str]
"""Key, class, digest, bytes, reason, and from the header of a sample its shape and mode."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A picture within a shard. To read it alone, its shard is read up to it."""

    index: Index
    number: int
    """Of all samples of the set."""

    def read(self) -> bytes:
        return next(self.index.pictures([self.number]))


@dataclass(frozen=True, eq=False)
class Index:
    """The samples of some shards, file by file: (N,) each."""

    shards: Shards
    starts: NDArray[np.int64]
    """(files + 1,): the number of each file's first sample, and of all."""
    keys: NDArray[np.str_]
    classes: NDArray[np.str_]
    """As they stand in the shards."""
    digests: NDArray[np.bytes_]
    sizes: NDArray[np.int64]
    """Bytes of each picture file."""
    reasons: NDArray[np.str_]
    """Why a picture cannot be read; empty for those that can."""
    headers: NDArray[np.int64]
    """(N, 3): height, width and bands; zeros where they cannot be read."""
    modes: NDArray[np.str_]
    """As Header calls them."""

    @classmethod
    def of(cls, shards: Shards) -> Index:
        """From the cache, else by reading all of them. Raises SourceError for what cannot be read."""
        key = hashlib.sha256(json.dumps([FORMAT, shards.stamps]).encode()).hexdigest()[:32]
        path = cache_folder("streams") / f"{key}.npz"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One of several processes reads; the others wait, and find it there.
            with FileLock(path.with_suffix(".lock")):
                if (found := _remembered(path)) is None:
                    found = _read(shards)
                    with atomic(path) as temporary:
                        np.savez(temporary, **found)
        except OSError as error:
            raise SourceError(f"cannot keep what {shards.address} holds at {path}: {reason_of(error)}") from error
        return cls(shards, **found)

    def __len__(self) -> int:
        return len(self.keys)

    def file_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which file each sample is in."""
        return np.searchsorted(self.starts, numbers, side="right") - 1

    def is_wide(self, number: int) -> bool:
        """Return whether a sample is a picture of 16 bits."""
        return Header(0, 0, 0, "", str(self.modes[number]), 1).wide

    def pictures(self, numbers: Sequence[int] | NDArray[np.int64]) -> Iterator[bytes]:
        """The picture files of these samples, one file after the other; within a file they stand as they are stored.

        Raises SourceError where a file is no longer what was read.
        """
        wanted = np.asarray(numbers, np.int64)
        files = self.file_of(wanted)
        for part in np.split(wanted, np.flatnonzero(np.diff(files)) + 1):
            file = int(self.file_of(part[:1])[0])
            examples, place = self.shards.files[file].examples(), 0
            for number in (part - self.starts[file]).tolist():
                example = next(islice(examples, number - place, None), None)
                place = number + 1
                if example is None or len(example.picture) != self.sizes[self.starts[file] + number]:
                    raise SourceError(
                        f"{self.shards.files[file].url} is not what it was when it was first read: "
                        f"sample {number + 1} is another; begin a new run"
                    )
                yield example.picture

    def source(self, labels: Sequence[str] | None = None) -> Source:
        """The samples that can be read, as a source; `labels` name numbered classes, or say which number a name has."""
        found = self.classes.tolist()
        if not any(found):
            raise SourceError(f"no sample of {self.shards.address} has a class; it is one of {', '.join(LABELS)}")
        names, number = label_names(filter(None, found), labels or self.shards.files[0].labels, self.shards.name)
        if labels is not None and not set(number) <= set(map(str, range(len(labels)))):
            known = {label: place for place, label in enumerate(labels)}
            if strange := sorted(set(number) - set(known)):
                raise SourceError(f"{self.shards.address} has a class '{strange[0]}' that is not among the labels")
            names, number = tuple(labels), known
        splits = [self.shards.files[file].split for file in self.file_of(np.arange(len(self))).tolist()]
        rows = zip(
            self.keys.tolist(), found, self.digests.astype(str).tolist(), splits, self.reasons.tolist(), strict=True
        )
        samples: list[Sample] = []
        unreadable: list[Unreadable] = []
        for place, (key, label, digest, split, reason) in enumerate(rows):
            if reason:
                unreadable.append(Unreadable(key, reason))
            else:
                samples.append(Sample(Streamed(self, place), number[label], digest, split, key))
        if lost := {number[label] for label in found if label} - {sample.label for sample in samples}:
            raise SourceError(
                f"class '{names[min(lost)]}' of {self.shards.name} has no picture that can be read; the first lost is "
                f"{unreadable[0].name} ({unreadable[0].reason})"
            )
        headers = [
            (key, Header(height, width, bands, "", mode, 1) if height else None)
            for key, (height, width, bands), mode in zip(
                self.keys.tolist(), self.headers.tolist(), self.modes.tolist(), strict=True
            )
        ]
        suits = suited(headers)
        return Source(
            name=self.shards.name,
            address=self.shards.address,
            labels=names,
            samples=tuple(samples),
            size=suits.size,
            channels=suits.channels,
            wide=suits.wide,
            notes=(
                *self.shards.notes,
                f"streamed from {len(self.shards.files)} shards; they are read as they come",
                *suits.notes,
            ),
            unreadable=tuple(unreadable),
            streamed=True,
        )


def _remembered(path: Path) -> dict[str, Any] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception:  # whatever is wrong with it, the shards are read again
        return None


def _read(shards: Shards) -> dict[str, Any]:
    """Every sample of every file, once."""
    from rich.console import Console
    from rich.progress import Progress

    starts = [0]
    rows: list[Row] = []
    console = Console(stderr=True)
    say(f"reading {len(shards.files)} shards of {shards.name}", console=console)
    with (
        ThreadPoolExecutor(max_workers=cores()) as pool,
        Progress(console=console, disable=not console.is_interactive, transient=True) as bar,
    ):
        for file in bar.track(range(len(shards.files)), description="shards"):
            examples = shards.files[file].examples()
            for some in _handfuls(examples):
                rows += pool.map(_look, some)
            starts.append(len(rows))
    if not rows:
        raise SourceError(f"{shards.address} holds no samples")
    keys, classes, digests, sizes, reasons, headers, modes = zip(*rows, strict=True)
    return {
        "starts": np.array(starts),
        "keys": np.array(keys),
        "classes": np.array(classes),
        "digests": np.array(digests, np.bytes_),
        "sizes": np.array(sizes),
        "reasons": np.array(reasons),
        "headers": np.array(headers),
        "modes": np.array(modes),
    }


def _handfuls(examples: Iterator[Example]) -> Iterator[list[Example]]:
    """Yield some samples at a time: so many, or so many bytes."""
    some: list[Example] = []
    held = 0
    for example in examples:
        some.append(example)
        held += len(example.picture)
        if len(some) == AT_ONCE or held > HELD_BYTES:
            yield some
            some, held = [], 0
    if some:
        yield some


def _look(example: Example) -> Row:
    key, picture, label = example
    reason, shape, mode = "", (0, 0, 0), ""
    digest = hashlib.sha256(picture).hexdigest()
    if not example.whole:
        lacks = "class" if picture else "picture"
        return key, label, digest, len(picture), f"{key} has no {lacks}", shape, mode
    try:
        said = header(picture, name=key)
        decode_bands(picture, channels=said.bands, name=key)
        shape, mode = (said.height, said.width, said.bands), said.mode
    except ImageError as error:
        reason = str(error)
    return key, label, digest, len(picture), reason, shape, mode

"""Index of shards: key, class, digest and size of every sample, read once and cached.

Building the index decodes every sample, so that unreadable pictures are found before training starts. Shards with
unchanged size and date are not read again.
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
from pennyweight.data.readers.columns import number_classes
from pennyweight.data.readers.input_size import suggest_input
from pennyweight.data.readers.shard import LABELS, Example
from pennyweight.data.readers.shards import Shards
from pennyweight.data.source import Sample, Source, Unreadable

__all__ = ["Index", "Streamed"]

AT_ONCE = 256
"""Samples that are decoded together; their files are held in memory."""
HELD_BYTES = 64 << 20
"""Bytes of these files at which a smaller batch is decoded."""
FORMAT = 3
Row = tuple[str, str, str, int, str, tuple[int, int, int], str, int]
"""Key, class, digest, bytes, reason, shape and mode from the header, and place of a sample."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """Picture within a shard; to read it alone is to read the shard up to it."""

    index: Index
    number: int
    """Number among all samples of the set."""

    def read(self) -> bytes:
        """Return the bytes of the picture file, reading its shard up to it."""
        return next(self.index.pictures([self.number]))


@dataclass(frozen=True, eq=False)
class Index:
    """Samples of some shards, file by file, as arrays (N,)."""

    shards: Shards
    starts: NDArray[np.int64]
    """(files + 1,): the number of each file's first sample, and N."""
    keys: NDArray[np.str_]
    classes: NDArray[np.str_]
    """Classes as written in the shards."""
    digests: NDArray[np.bytes_]
    sizes: NDArray[np.int64]
    """Bytes of each picture file."""
    reasons: NDArray[np.str_]
    """Reason for which a picture cannot be read; empty for a readable picture."""
    headers: NDArray[np.int64]
    """(N, 3): height, width and bands; zeros for an unreadable picture."""
    modes: NDArray[np.str_]
    """Modes as in Header."""
    places: NDArray[np.int64]
    """Byte at which each picture begins in its tar, or its row group in a table; -1 if its file is read from the
    start."""

    @classmethod
    def load(cls, shards: Shards) -> Index:
        """Load the index from the cache, else read all shards. Raises SourceError for a shard that cannot be read."""
        key = hashlib.sha256(json.dumps([FORMAT, shards.stamps]).encode()).hexdigest()[:32]
        path = cache_folder("streams") / f"{key}.npz"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One of several processes reads the shards; the others wait for its cache entry.
            with FileLock(path.with_suffix(".lock")):
                if (found := _load_cached(path)) is None:
                    found = _build(shards)
                    with atomic(path) as temporary:
                        np.savez(temporary, **found)
        except OSError as error:
            raise SourceError(f"cannot keep what {shards.address} holds at {path}: {reason_of(error)}") from error
        return cls(shards, **found)

    def __len__(self) -> int:
        return len(self.keys)

    def file_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the file that holds each sample, (n,) -> (n,)."""
        return np.searchsorted(self.starts, numbers, side="right") - 1

    def is_wide(self, number: int) -> bool:
        """Return whether a sample is a 16-bit picture."""
        return Header(0, 0, 0, "", str(self.modes[number]), 1).wide

    def pictures(self, numbers: Sequence[int] | NDArray[np.int64]) -> Iterator[bytes]:
        """Yield the picture files of these samples. Within one shard, the numbers must ascend.

        Raises SourceError for a shard that has changed since it was indexed.
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
                        f"{self.shards.files[file].url} has changed since it was first read: "
                        f"sample {number + 1} differs; begin a new run"
                    )
                yield example.picture

    def source(self, labels: Sequence[str] | None = None) -> Source:
        """Return the readable samples as a source; `labels` name numbered classes, or give the number of each name."""
        found = self.classes.tolist()
        if not any(found):
            raise SourceError(f"no sample of {self.shards.address} has a class; it is one of {', '.join(LABELS)}")
        names, number = number_classes(filter(None, found), labels or self.shards.files[0].labels, self.shards.name)
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
        suggested = suggest_input(headers)
        return Source(
            name=self.shards.name,
            address=self.shards.address,
            labels=names,
            samples=tuple(samples),
            size=suggested.size,
            channels=suggested.channels,
            wide=suggested.wide,
            notes=(
                *self.shards.notes,
                f"streamed from {len(self.shards.files)} shards, read sample by sample",
                *suggested.notes,
            ),
            unreadable=tuple(unreadable),
            streamed=True,
        )


def _load_cached(path: Path) -> dict[str, Any] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception:  # any damage of the cache entry: read the shards again
        return None


def _build(shards: Shards) -> dict[str, Any]:
    """Read every sample of every shard and return the arrays of an Index."""
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
            for some in _batches(examples):
                rows += pool.map(_inspect, some)
            starts.append(len(rows))
    if not rows:
        raise SourceError(f"{shards.address} holds no samples")
    keys, classes, digests, sizes, reasons, headers, modes, places = zip(*rows, strict=True)
    return {
        "starts": np.array(starts),
        "keys": np.array(keys),
        "classes": np.array(classes),
        "digests": np.array(digests, np.bytes_),
        "sizes": np.array(sizes),
        "reasons": np.array(reasons),
        "headers": np.array(headers),
        "modes": np.array(modes),
        "places": np.array(places),
    }


def _batches(examples: Iterator[Example]) -> Iterator[list[Example]]:
    """Yield batches of AT_ONCE samples, or fewer once they exceed HELD_BYTES."""
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


def _inspect(example: Example) -> Row:
    key, picture, label, place = example
    reason, shape, mode = "", (0, 0, 0), ""
    digest = hashlib.sha256(picture).hexdigest()
    if not example.is_complete:
        lacks = "class" if picture else "picture"
        return key, label, digest, len(picture), f"{key} has no {lacks}", shape, mode, place
    try:
        found = header(picture, name=key)
        decode_bands(picture, channels=found.bands, name=key)
        shape, mode = (found.height, found.width, found.bands), found.mode
    except ImageError as error:
        reason = str(error)
    return key, label, digest, len(picture), reason, shape, mode, place

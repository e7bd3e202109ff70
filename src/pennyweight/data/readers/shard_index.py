"""Index of shards: the samples of a set, which its shards have entries of, as a source.

Building the index decodes every sample, so that unreadable pictures are found before training starts; a trusted one
reads headers only. Shards with unchanged size and date are not read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.core.images import Header
from pennyweight.data.digests import Digests
from pennyweight.data.readers.columns import (
    doubtful_classes_notes,
    number_classes,
    whole_number,
    whole_numbers_note,
)
from pennyweight.data.readers.input_size import suggest_input
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shard_classes import find_classes, find_splits
from pennyweight.data.readers.shard_entry import Entry, join_entries
from pennyweight.data.readers.shard_store import load_entries
from pennyweight.data.readers.shards import Shards
from pennyweight.data.source import Sample, Source, Unreadable

__all__ = ["Index", "Streamed", "read_in_order"]


@dataclass(frozen=True, slots=True)
class Streamed:
    """Picture within a shard. To read it alone from a compressed tar or a table is to read the shard up to it."""

    index: Index
    number: int
    """Number among all samples of the set."""

    @property
    def shard(self) -> Shard:
        """Return the shard of the picture."""
        return self.index.shards.files[int(self.index.file_of(np.array([self.number]))[0])]

    @property
    def is_slow(self) -> bool:
        """Return whether the shard has to be read up to the picture."""
        return self.shard.is_table or self.index.places[self.number] < 0 or not self.shard.has_ranges

    def read(self) -> bytes:
        """Return the bytes of the picture file."""
        if not self.is_slow:
            start = int(self.index.places[self.number])
            return self.shard.read(start, start + int(self.index.sizes[self.number]))
        return next(self.index.pictures([self.number]))


@dataclass(frozen=True, slots=True)
class Held:
    """Picture file in memory."""

    content: bytes

    def read(self) -> bytes:
        """Return the bytes of the picture file."""
        return self.content


def read_in_order(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yield samples; those of shards in the order in which they are stored, with their files in memory.

    Each shard is read once, where sample by sample a compressed one would be read up to each of them.
    """
    streamed = [(each.picture.number, each) for each in samples if isinstance(each.picture, Streamed)]
    if not streamed or len(streamed) < len(samples):
        yield from samples
        return
    streamed.sort(key=itemgetter(0))
    first = streamed[0][1].picture
    assert isinstance(first, Streamed)
    for (_, sample), content in zip(streamed, first.index.pictures([number for number, _ in streamed]), strict=True):
        yield replace(sample, picture=Held(content))


@dataclass(frozen=True, eq=False)
class Index:
    """Samples of some shards, file by file, as arrays (N,)."""

    shards: Shards
    starts: NDArray[np.int64]
    """(files + 1,): the number of each file's first sample, and N."""
    columns: Entry
    """Facts about the samples, as in Row: `key`, `label`, …, each (N,)."""
    names: tuple[str, ...]
    """Names of numbered classes; empty if the shards do not give them."""
    trusted: bool = False
    """True if every picture with a header is a sample: training meets those that cannot be decoded."""

    @classmethod
    def load(cls, shards: Shards, *, trust: bool = False) -> Index:
        """Load the index, and read the shards without an entry.

        Args:
            shards: The shards.
            trust: Take pictures by their headers. The samples are then the same whether or not they were decoded.

        Raises:
            SourceError: A shard cannot be read.
        """
        entries = load_entries(shards, decode=not trust)
        starts, columns = join_entries(entries)
        if not len(columns["key"]):
            raise SourceError(f"{shards.address} holds no samples")
        names = next((entry["names"].tolist() for entry in entries if len(entry["names"])), ())
        if trust:  # what decoding found counts when training meets it
            columns["reason"] = np.where(columns["header"][:, 0] > 0, "", columns["reason"])
        return cls(shards, starts, columns, tuple(names), trust)

    @property
    def keys(self) -> NDArray[np.str_]:
        """Return the keys of the samples."""
        return self.columns["key"]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the bytes of each picture file."""
        return self.columns["size"]

    @property
    def places(self) -> NDArray[np.int64]:
        """Return the byte at which each picture begins in a tar, or its row group in a table; -1 for neither."""
        return self.columns["place"]

    def __len__(self) -> int:
        return len(self.keys)

    def file_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the file that holds each sample, (n,) -> (n,)."""
        return np.searchsorted(self.starts, numbers, side="right") - 1

    def is_wide(self, number: int) -> bool:
        """Return whether a sample is a 16-bit picture."""
        return Header(0, 0, 0, "", str(self.columns["mode"][number]), 1).wide

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
                        f"{self.shards.files[file].shown} has changed since it was first read: "
                        f"sample {number + 1} differs; begin a new run"
                    )
                yield example.picture

    def source(self, labels: Sequence[str] | None = None) -> Source:
        """Return the usable samples as a source; `labels` name numbered classes, or give the number of each name.

        Raises SourceError if no sample is usable, or a class has no readable picture.
        """
        files = self.file_of(np.arange(len(self))).tolist()
        keys, reasons = self.keys.tolist(), self.columns["reason"].tolist()
        usable = [place for place, reason in enumerate(reasons) if not reason]
        if not usable:
            raise SourceError(f"no sample of {self.shards.address} can be used: {reasons[0]}")
        classes = find_classes(
            self.columns["label"][usable].tolist(),
            self.keys[usable].tolist(),
            [self.shards.files[files[place]].stem for place in usable],
            self.columns["note"][usable].tolist(),
            self.shards.address,
        )
        found = dict(zip(usable, classes.found, strict=True))
        lost = [label for label, reason in zip(self.columns["label"].tolist(), reasons, strict=True) if reason]
        names, number = self._number([*classes.found, *lost], labels)
        written = [found.get(place, "") for place in range(len(self))]
        splits = find_splits(
            self.columns["split"].tolist(), keys, [self.shards.files[file].split for file in files], written
        )
        shown = self._sample_names(keys, files)
        samples: list[Sample] = []
        unreadable: list[Unreadable] = []
        for place, (key, digests) in enumerate(zip(keys, self._digests(), strict=True)):
            if label := found.get(place):
                facts = (splits[place], shown[place], None, self._aspect(place), digests.file)
                samples.append(Sample(Streamed(self, place), number[label], digests.content, *facts))
            else:
                reason = reasons[place] or f"{key} has no class"
                unreadable.append(Unreadable(shown[place], reason.replace(key, shown[place], 1)))
        if missing := {number[label] for label in lost if label} - {sample.label for sample in samples}:
            raise SourceError(
                f"class '{names[min(missing)]}' of {self.shards.name} has no picture that can be read; the first lost "
                f"is {unreadable[0].name} ({unreadable[0].reason})"
            )
        suggested = suggest_input(self._headers())
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
                f"streamed from {several(len(self.shards.files), 'shard')}, read sample by sample",
                *classes.notes,
                *whole_numbers_note(number),
                *doubtful_classes_notes(names),
                *suggested.notes,
            ),
            unreadable=tuple(unreadable),
            read_as={"trust": True} if self.trusted else {},
            streamed=True,
        )

    def _digests(self) -> Iterator[Digests]:
        """Yield the digests of each sample."""
        files, pixels = (self.columns[name].astype(str).tolist() for name in ("digest", "pixels"))
        for file, of_pixels in zip(files, pixels, strict=True):
            yield Digests(of_pixels, file) if of_pixels else Digests(file, "")

    def _sample_names(self, keys: Sequence[str], files: Sequence[int]) -> Sequence[str]:
        """Return the keys, or where shards share keys the name of the shard and the key."""
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))  # a set of ten million keys takes a gigabyte
        if len(np.unique(hashes)) == len(keys):
            return keys
        return [f"{self.shards.files[file].name}/{key}" for file, key in zip(files, keys, strict=True)]

    def _number(self, found: Sequence[str], labels: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, int]]:
        """Return the names of the classes, and the number of each class as written."""
        names, number = number_classes(filter(None, found), labels or self.names or None, self.shards.name)
        if labels is not None and not {whole_number(label) for label in number} <= set(map(str, range(len(labels)))):
            known = {label: place for place, label in enumerate(labels)}
            if strange := sorted(set(number) - set(known)):
                raise SourceError(f"{self.shards.address} has a class '{strange[0]}' that is not among the labels")
            return tuple(labels), known
        return names, number

    def _aspect(self, place: int) -> float:
        """Return width / height of a picture; 0 without a header."""
        height, width, _ = self.columns["header"][place].tolist()
        return width / height if height else 0.0

    def _headers(self) -> Iterator[tuple[str, Header | None]]:
        columns = (self.columns[name].tolist() for name in ("key", "header", "mode", "reason"))
        for key, (height, width, bands), mode, reason in zip(*columns, strict=True):
            yield key, Header(height, width, bands, "", mode, 1) if height and not reason else None

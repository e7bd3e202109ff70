"""The values of this room: a sample, and a source of samples with its labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import number
from pennyweight.core.files import as_text
from pennyweight.core.summary import Facts, Summary

__all__ = ["SPLITS", "Sample", "Source", "Split", "Stored", "Unreadable"]

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@runtime_checkable
class Stored(Protocol):
    """A picture file that lies within another file, such as a row of a Parquet table."""

    def read(self) -> bytes: ...


class Unreadable(NamedTuple):
    """A picture that cannot be read, and why, in a line that names it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and its class."""

    picture: Path | NDArray[np.uint8] | NDArray[np.uint16] | Stored
    """A file, a file within another, or (H, W) or (H, W, C) uint8 or uint16."""
    label: int
    """Index into the source's labels."""
    digest: str
    """SHA-256 of the content, in hexadecimal: equal pictures have equal digests."""
    split: Split | None
    """Which split its source puts it in; None when the source has no splits."""
    name: str
    """To name it to a person: the path within its source, or the set and the number."""
    group: str | None = None
    """Samples of one group stay in one split: pictures of one patient, place or film."""

    def read(self) -> Path | NDArray[np.uint8] | NDArray[np.uint16] | bytes:
        """The picture as `Preprocess` takes it."""
        return self.picture.read() if isinstance(self.picture, Stored) else self.picture

    @property
    def where(self) -> str:
        """To find it: the path of a file, the name of anything else."""
        return as_text(self.picture) if isinstance(self.picture, Path) else self.name

    @property
    def place(self) -> float:
        """In [0, 1), from the content alone: what a split is decided by."""
        return int(self.digest[:16], 16) / 16**16


@dataclass(frozen=True, kw_only=True, repr=False)
class Source(Summary):
    """Labelled pictures. `labels[sample.label]` is a sample's class name."""

    name: str
    """A set's name, or the folder's."""
    address: str
    """What `open` takes to find it again, from anywhere on this machine."""
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    size: int
    """The side in pixels that suits these pictures as network input."""
    channels: int = 3
    wide: int = 0
    """How many of the pictures have 16 bits."""
    mirrors: bool = True
    """Whether a picture seen in a mirror is still of its class; of digits and text it is not."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the source was read."""
    unreadable: tuple[Unreadable, ...] = ()
    """What was found already on opening to be no file that can be read; no sample stands for it."""
    refusals: tuple[str, ...] = ()
    """Why `fit` cannot use it as it is, a line each: a class folder without pictures, or one that cannot be listed."""
    group_by: str | None = None
    """How its samples were told to keep together, as `open` takes it."""
    read_as: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """How it was read where its files do not say it, as `open` takes it."""
    streamed: bool = False
    """Whether pictures come in the order of their shards, and to read one alone is slow."""

    def _facts(self) -> Facts:
        yield "name", self.name
        yield "images", number(len(self.samples))
        yield "classes", number(len(self.labels))
        yield "", "with splits of its own" if self.has_splits else "without splits"
        if self.unreadable:
            yield "unreadable", number(len(self.unreadable))

    def require_classes(self, least: int) -> None:
        """Raise SourceError for fewer than `least` classes: two to train on, one to score."""
        if len(self.labels) < least:
            found = f"one: '{self.labels[0]}'" if self.labels else "none"
            wanted = "at least two classes" if least == 2 else "a class"
            raise SourceError(f"{self.name} needs {wanted}, found {found}; make a folder for each class")

    @property
    def has_splits(self) -> bool:
        """Whether the source itself says which pictures are for training, selection and test."""
        return any(sample.split is not None for sample in self.samples)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over contents, classes and given splits, whatever the order or the file names."""
        rows = sorted(f"{s.digest} {self.labels[s.label]} {s.split or '-'}" for s in self.samples)
        return "sha256:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def count_by_label(self) -> Counter[str]:
        """Pictures of each class."""
        return Counter(self.labels[sample.label] for sample in self.samples)

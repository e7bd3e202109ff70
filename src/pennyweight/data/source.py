"""Sources of pictures: Sample, a picture with its class, and Source, samples with their labels."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import number
from pennyweight.core.files import as_text
from pennyweight.core.summary import Facts, Summary

__all__ = ["SPLITS", "AnySource", "Sample", "Source", "Split", "Stored", "Unreadable"]

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@runtime_checkable
class Stored(Protocol):
    """Picture that is read when it is used: a file within another one, or an item of a data set in memory."""

    def read(self) -> bytes | NDArray[Any]:
        """Return the bytes of the picture file, or an array as Sample has it."""
        ...


class Unreadable(NamedTuple):
    """Name of a picture that cannot be read, and the reason in a line that names the picture."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Picture and its class."""

    picture: Path | NDArray[np.uint8] | NDArray[np.uint16] | Stored
    """File, picture that is read when used, or array (H, W) or (H, W, C) of uint8 or uint16."""
    label: int
    """Index into the source's labels."""
    digest: str
    """SHA-256 of the content, in hexadecimal: equal pictures have equal digests. See `data.digests`."""
    split: Split | None
    """Split in which the source has it; None if the source has no splits."""
    name: str
    """Name for messages: the path within the source, or the set and the number."""
    group: str | None = None
    """Samples of one group stay in one split: pictures of one patient, place or film."""
    header_aspect: float = field(default=0.0, compare=False, repr=False)
    """Width / height of the upright picture, from the header of its file; 0 where that was not read."""
    file_digest: str = field(default="", compare=False, repr=False)
    """SHA-256 of the file where `digest` is of its pixels: earlier versions knew the picture by it."""

    def read(self) -> Path | NDArray[np.uint8] | NDArray[np.uint16] | bytes:
        """Return the picture as `Preprocess` takes it: a path, an array or the bytes of a file."""
        return self.picture.read() if isinstance(self.picture, Stored) else self.picture

    @property
    def where(self) -> str:
        """Return the path of a file, or the name of any other picture."""
        return as_text(self.picture) if isinstance(self.picture, Path) else self.name

    @property
    def aspect(self) -> float:
        """Return width / height of the upright picture; 0 if it is not known."""
        if isinstance(self.picture, np.ndarray):
            return float(self.picture.shape[1] / self.picture.shape[0])
        return self.header_aspect

    @property
    def place(self) -> float:
        """Return a number in [0, 1) from the content alone, which decides the split."""
        return int(self.digest[:16], 16) / 16**16


@dataclass(frozen=True, kw_only=True, repr=False)
class Source(Summary):
    """Labeled pictures. `labels[sample.label]` is the class name of a sample."""

    name: str
    """Name of the set or the folder."""
    address: str
    """String with which `open` finds the source again, from any folder of this machine."""
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    size: int
    """Side in pixels of the network input that suits the pictures."""
    channels: int = 3
    wide: int = 0
    """Number of 16-bit pictures."""
    mirrors: bool = True
    """True if a mirrored picture keeps its class, which pictures of digits and text do not."""
    notes: tuple[str, ...] = ()
    """Lines for the user on how the source was read."""
    unreadable: tuple[Unreadable, ...] = ()
    """Files that could not be read when the source was opened; they are not among the samples."""
    refusals: tuple[str, ...] = ()
    """Reasons for which `fit` refuses the source, such as a class folder without pictures."""
    group_by: str | None = None
    """Grouping that keeps samples in one split, as `open` takes it."""
    read_as: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Reading options of the user, as `open` takes them."""
    streamed: bool = False
    """True if pictures come in the order of their shards, so that reading a single one is slow."""

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
        """Return whether the source itself divides its pictures into splits."""
        return any(sample.split is not None for sample in self.samples)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over contents, classes and given splits; order and file names do not count."""
        rows = sorted(f"{s.digest} {self.labels[s.label]} {s.split or '-'}" for s in self.samples)
        return "sha256:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def count_by_label(self) -> Counter[str]:
        """Return the number of pictures of each class."""
        return Counter(self.labels[sample.label] for sample in self.samples)


AnySource: TypeAlias = "str | os.PathLike[str] | Source | Any"
"""Path or name, a Source, or what `data.given` opens: (images, labels), a table, a data set, or a dict of splits."""

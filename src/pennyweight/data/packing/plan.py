"""Plan of a pack: which samples each shard holds, from the source and the options alone."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pennyweight.data.packing.contents import content_of, ending_of
from pennyweight.data.packing.spool import in_order, needs_order
from pennyweight.data.readers.shard_index import read_in_order
from pennyweight.data.source import SPLITS, Sample, Source, Split

__all__ = ["Format", "Packing", "Part", "make_plan"]

Format = Literal["webdataset", "parquet"]
MEASURED = 64
"""Pictures whose size stands for that of all: drawn at random, or the first of a source that is read in its order."""
OVERHEAD: dict[Format, int] = {"webdataset": 3 * 1024, "parquet": 128}
"""Bytes that the format adds to a picture: headers, padding, class and record."""
LONGEST_NAME = 60


@dataclass(frozen=True)
class Part:
    """Shard of a pack: name of its file, its split, and its samples in order with their keys."""

    file: str
    split: Split | None
    samples: tuple[Sample, ...]
    first: int
    """Number of the first sample in its split."""

    def key(self, place: int) -> str:
        """Return the key of a sample: its number in the split, and its name without periods and folders."""
        name = re.sub(r"[^A-Za-z0-9-]+", "_", self.samples[place].name)[-LONGEST_NAME:].strip("_")
        return f"{self.first + place:08d}-{name}"


@dataclass(frozen=True)
class Packing:
    """Shards of a pack, and everything that decides their bytes."""

    labels: tuple[str, ...]
    format: Format
    resize: int | None
    ending: str
    """Extension of the pictures."""
    parts: tuple[Part, ...]
    shard_bytes: int
    """Approximate bytes of a shard."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values; two plans with equal values have equal shards."""
        return {
            "labels": list(self.labels),
            "format": self.format,
            "resize": self.resize,
            "ending": self.ending,
            "shards": {part.file: _digest(part.samples) for part in self.parts},
        }


def make_plan(source: Source, *, shard_bytes: int, kind: Format, resize: int | None) -> Packing:
    """Plan the shards of a source.

    The samples of each split stand in an order that their content and name draw, so that each shard looks like the
    whole. The shards of a split hold equally many samples.

    Args:
        source: The source.
        shard_bytes: Approximate bytes of a shard.
        kind: Format of the shards.
        resize: Largest short side of the pictures in pixels.
    """
    drawn = sorted(source.samples, key=_drawn)
    groups: dict[Split | None, list[Sample]] = {split: [] for split in (*SPLITS, None)}
    for sample in drawn:
        groups[sample.split].append(sample)
    # A source that is read from its start is not read up to pictures drawn from all of it.
    looked_at = in_order(drawn)[:MEASURED] if needs_order(drawn) else drawn[:MEASURED]
    contents = [content_of(sample, resize) for sample in read_in_order(looked_at)]
    each = OVERHEAD[kind] + float(np.mean([len(content) for content in contents]))
    parts: list[Part] = []
    for split, samples in groups.items():
        count = math.ceil(len(samples) * each / shard_bytes)
        first = 0
        for number, places in enumerate(np.array_split(np.arange(len(samples)), count) if samples else ()):
            name = f"{split or 'part'}-{number:05d}"
            file = f"{name}.tar" if kind == "webdataset" else f"{name}-of-{count:05d}.parquet"
            parts.append(Part(file, split, tuple(samples[place] for place in places.tolist()), first))
            first += len(places)
    return Packing(source.labels, kind, resize, ending_of(source.samples, contents), tuple(parts), shard_bytes)


def _drawn(sample: Sample) -> str:
    return hashlib.sha256(f"{sample.digest} {sample.name}".encode("utf-8", "replace")).hexdigest()


def _digest(samples: Sequence[Sample]) -> str:
    rows = [[sample.file_digest or sample.digest, sample.label, sample.name] for sample in samples]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

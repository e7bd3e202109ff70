"""`index`: the index of shards, made by any number of processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.figures import number
from pennyweight.core.summary import Facts, Summary

__all__ = ["Indexed", "index"]


@dataclass(frozen=True, repr=False)
class Indexed(Summary):
    """Shards whose index is complete."""

    address: str
    images: int
    """Usable pictures."""
    labels: tuple[str, ...]
    unreadable: tuple[data.Unreadable, ...]
    """Samples that cannot be used, with their reasons."""
    notes: tuple[str, ...]
    """Lines on how the shards were read."""

    def _facts(self) -> Facts:
        yield "address", self.address
        yield "images", number(self.images)
        yield "classes", number(len(self.labels))
        yield "unreadable", number(len(self.unreadable))

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "address": self.address,
            "images": self.images,
            "labels": list(self.labels),
            "unreadable": [each._asdict() for each in self.unreadable],
            "notes": list(self.notes),
        }


def index(source: str | os.PathLike[str]) -> Indexed:
    """Make the index of shards: read each shard once, and keep the class, size and place of every picture.

    Several processes, also on several machines, share the shards among them; a killed one loses the shard that it was
    reading. The index lies in `.pennyweight` next to the shards if that can be written, else in the cache.

    Args:
        source: Shards, as `pw.fit` takes them.

    Returns:
        The set: `address`, `images`, `labels`, `unreadable`, `notes`.

    Raises:
        SourceError: A shard cannot be read, or no sample can be used.
        InputError: The source is not streamed, so that it needs no index.
    """
    opened = data.open(source, least_classes=1)
    if not opened.streamed:
        raise InputError(f"{opened.name} needs no index, because its pictures are read in any order")
    return Indexed(opened.address, len(opened.samples), opened.labels, opened.unreadable, opened.notes)

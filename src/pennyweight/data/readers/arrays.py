"""Sources of pictures held in memory as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.data.digests import digest_of_array
from pennyweight.data.readers.columns import number_classes
from pennyweight.data.readers.input_size import suggest_input_for
from pennyweight.data.source import Sample, Source, Split

__all__ = ["Block", "from_arrays"]


class Block(NamedTuple):
    """Pictures (N, H, W) or (N, H, W, C), uint8 or uint16, and their labels (N,), all of one split."""

    split: Split | None
    pictures: NDArray[Any]
    labels: NDArray[Any]


def from_arrays(
    blocks: Sequence[Block],
    *,
    name: str,
    address: str,
    labels: Sequence[str] | None = None,
    mirrors: bool = True,
    size: int | None = None,
    notes: tuple[str, ...] = (),
) -> Source:
    """Return a source of pictures that are in memory.

    Args:
        blocks: Pictures and labels, one block for each split.
        name: Name of the source.
        address: String that opens the source again.
        labels: Names of the classes, if the blocks' labels are numbers.
        mirrors: Whether a picture may be flipped left to right in training.
        size: Side of the input in pixels; by default derived from the pictures.
        notes: Lines for the user.

    Raises:
        SourceError: A block has more or fewer labels than pictures.
    """
    found = [[str(value) for value in block.labels.reshape(-1).tolist()] for block in blocks]
    names, number = number_classes([value for values in found for value in values], labels, name)
    samples = []
    for block, values in zip(blocks, found, strict=True):
        if len(values) != len(block.pictures):
            raise SourceError(f"{name} has {len(block.pictures)} pictures and {len(values)} labels; each needs one")
        part = f"{block.split}/" if block.split else ""
        for index, (picture, value) in enumerate(zip(block.pictures, values, strict=True)):
            digest = digest_of_array(picture)
            samples.append(Sample(picture, number[value], digest, block.split, f"{name}/{part}{index:05d}"))
    suggested = suggest_input_for(samples)
    return Source(
        name=name,
        address=address,
        labels=names,
        samples=tuple(samples),
        size=size or suggested.size,
        channels=suggested.channels,
        wide=suggested.wide,
        notes=(*notes, *suggested.notes),
        mirrors=mirrors,
    )

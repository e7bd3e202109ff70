"""Sets whose pictures come as whole arrays: `.npz` files, and the named sets of small pictures."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.images import Pixels
from pennyweight.data.archives import MAX_RATIO, SPARE_BYTES
from pennyweight.data.columns import label_names
from pennyweight.data.folder import SPLIT_NAMES
from pennyweight.data.looks import looks
from pennyweight.data.source import Sample, Source, Split

__all__ = ["Block", "from_arrays", "npz"]

PICTURES = ("images", "x", "data", "pictures")
LABELS = ("labels", "y", "targets", "label")


class Block(NamedTuple):
    """Pictures (N, H, W) or (N, H, W, C) uint8 with their labels (N,), of one split."""

    split: Split | None
    pictures: Pixels
    labels: NDArray[Any]


def from_arrays(
    blocks: Sequence[Block],
    *,
    name: str,
    address: str,
    labels: Sequence[str] | None = None,
    mirrors: bool = True,
    size: int | None = None,
) -> Source:
    """A source of pictures that are in memory already; `labels` names their numbered classes."""
    found = [[str(value) for value in block.labels.reshape(-1).tolist()] for block in blocks]
    names, number = label_names([value for values in found for value in values], labels, name)
    samples = []
    for block, values in zip(blocks, found, strict=True):
        if len(values) != len(block.pictures):
            raise SourceError(f"{name} has {len(block.pictures)} pictures and {len(values)} labels; each needs one")
        part = f"{block.split}/" if block.split else ""
        for index, (picture, value) in enumerate(zip(block.pictures, values, strict=True)):
            digest = hashlib.sha256(picture.tobytes()).hexdigest()
            samples.append(Sample(picture, number[value], digest, block.split, f"{name}/{part}{index:05d}"))
    suits = looks(samples)
    return Source(
        name=name,
        address=address,
        labels=names,
        samples=tuple(samples),
        size=size or suits.size,
        channels=suits.channels,
        wide=suits.wide,
        notes=suits.notes,
        mirrors=mirrors,
    )


def npz(path: Path, *, name: str, address: str) -> Source:
    """The pictures of a `.npz` file: `images` and `labels`, or `train_images`, `train_labels`, `test_images`, ….

    Also `x` and `y`, before or after the split's name (`x_train`). Raises SourceError for other names or values.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > max(SPARE_BYTES, MAX_RATIO * path.stat().st_size):
            raise SourceError(f"{path} unpacks to more than {MAX_RATIO} times its size; it is taken for a bomb")
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f"cannot read {path} as arrays: {str(error).splitlines()[0]}") from error
    meanings = {_meaning(key): key for key in arrays}
    blocks = []
    for split in dict.fromkeys(split for split, _ in meanings):
        pictures, labels = meanings.get((split, "pictures")), meanings.get((split, "labels"))
        if pictures is None or labels is None:
            continue
        array = arrays[pictures]
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or 0 in array.shape:
            raise SourceError(f"{pictures} of {path} is {array.dtype} {array.shape}; pictures are uint8 (N, H, W[, C])")
        blocks.append(Block(split, array, arrays[labels]))
    if not blocks:
        raise SourceError(
            f"{path} has the arrays {', '.join(arrays) or 'none'}; it needs images and labels, "
            "or train_images, train_labels, test_images, test_labels"
        )
    return from_arrays(blocks, name=name, address=address)


def _meaning(key: str) -> tuple[Split | None, str]:
    """ "train_images" -> ("train", "pictures"); "x" -> (None, "pictures"). Other names keep themselves."""
    words = key.lower().split("_")
    split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
    rest = "_".join(word for word in words if word not in SPLIT_NAMES)
    return split, "pictures" if rest in PICTURES else "labels" if rest in LABELS else rest

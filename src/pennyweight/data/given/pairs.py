"""Pictures with their labels: arrays (N, H, W, C) and labels (N,), lists of both, and lists of (picture, label)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import SourceError, received
from pennyweight.core.tensors import array_line, is_foreign_array
from pennyweight.data.given.pictures import Kept, as_picture
from pennyweight.data.given.rows import Given, Row, labels_of
from pennyweight.data.readers.npz import channels_come_first, pictures_of_arrays

__all__ = ["is_pair", "is_pairs", "listed_pictures", "of_pair", "of_pairs", "whole_array"]

PLACE = "(images, labels)"
KERAS = "{'train': (x_train, y_train), 'test': (x_test, y_test)}"


def is_pair(source: object) -> bool:
    """Return whether a source is a tuple (pictures, labels)."""
    return isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], (str, os.PathLike, bytes))


def of_pair(source: tuple[Any, Any]) -> Given:
    """Return the rows of (pictures, labels). Raises SourceError where they do not fit together."""
    pictures, labels = source
    if (
        isinstance(labels, tuple)
        and len(labels) == 2
        and all(hasattr(each, "shape") for each in (pictures[0], *labels))
    ):
        raise SourceError(f"two pairs of arrays were passed; name the split of each: {KERAS}")
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise SourceError(f"the labels are {received(labels)}; give one for each picture: (images, labels)")
    kept, names, notes = listed_pictures(pictures, PLACE)
    texts = labels_of(labels, len(kept), f"the labels of {PLACE}")
    rows = [Row(picture, label, name) for picture, label, name in zip(kept, texts, names, strict=True)]
    return Given(name="arrays" if isinstance(pictures, np.ndarray) else "pictures", rows=rows, notes=notes)


def is_pairs(source: object) -> bool:
    """Return whether a source is a list, or a longer tuple, of (picture, label)."""
    if not isinstance(source, (list, tuple)) or not source:
        return False
    return all(isinstance(each, (tuple, list)) and len(each) == 2 for each in source)


def of_pairs(source: Sequence[Sequence[Any]]) -> Given:
    """Return the rows of a list of (picture, label)."""
    if len(source) == 2 and all(getattr(each, "ndim", 0) > 1 for each in source[0]):
        raise SourceError(f"a list of two pairs of arrays was passed; name the split of each: {KERAS}")
    return of_pair(([each[0] for each in source], [each[1] for each in source]))


def listed_pictures(pictures: Any, where: str) -> tuple[list[Kept], list[str], tuple[str, ...]]:
    """Return the pictures of an array or a list, a name for each, and notes on conversions. Raises SourceError."""
    if is_foreign_array(pictures):
        raise SourceError(
            f"the images of {where} are a {type(pictures).__name__} of shape {tuple(pictures.shape)}; pictures are "
            f"uint8 arrays with the channels last: {array_line(pictures, 'images')}"
        )
    if isinstance(pictures, (str, bytes, os.PathLike, Mapping, Image.Image)) or not isinstance(pictures, Iterable):
        raise SourceError(f"the images of {where} are {received(pictures)}; give an array (N, H, W, C), or a list")
    if np.ma.is_masked(pictures):
        raise SourceError(f"the images of {where} hold masked values, which have no color; fill them: images.filled(0)")
    notes: list[str] = []
    if not isinstance(pictures, np.ndarray):
        pictures = list(pictures)
    if (array := whole_array(pictures)) is not None:
        pictures, notes = _converted(array, where)
    folder = Path.cwd()
    kept = [as_picture(each, f"picture {number} of {where}", folder) for number, each in enumerate(pictures)]
    width = max(5, len(str(len(kept))))
    names = [
        os.fspath(each) if isinstance(each, (str, os.PathLike)) else f"{number:0{width}d}"
        for number, each in enumerate(pictures)
    ]
    return kept, names, tuple(notes)


def whole_array(pictures: Any) -> NDArray[Any] | None:
    """Return pictures that are converted together as an array; None where each is read by itself."""
    if isinstance(pictures, np.ndarray):
        return pictures if pictures.dtype.kind in "biuf" else None
    return np.stack(pictures) if isinstance(pictures, (list, tuple)) and _alike(pictures) else None


def _alike(pictures: Sequence[Any]) -> bool:
    """Return whether these are arrays of one shape and type that need a conversion."""
    kinds = {(each.shape, each.dtype.str) for each in pictures if isinstance(each, np.ndarray)}
    others = any(not isinstance(each, np.ndarray) for each in pictures)
    if others or len(kinds) != 1:
        return False
    first = pictures[0]
    return first.dtype not in (np.uint8, np.uint16) or (first.ndim == 3 and channels_come_first((1, *first.shape)))


def _converted(array: NDArray[Any], where: str) -> tuple[NDArray[Any], list[str]]:
    """Return pictures as (N, H, W) or (N, H, W, C) of uint8 or uint16, as those of an .npz file."""
    made, notes = pictures_of_arrays({"images": array}, where)
    return made["images"], notes

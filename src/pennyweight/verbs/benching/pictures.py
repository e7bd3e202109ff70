"""Pictures on which the answers of engines are compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.images import Pixels
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.prediction import Failure
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.readers.open_path import visible_children
from pennyweight.runtime import NamedPicture
from pennyweight.verbs.inputs import pictures_given

__all__ = ["Compared", "choose_pictures"]

PICTURES = 64
MOST_LISTED = 4096
"""Pictures among which those to compare on are chosen, at equal distances."""
SHELF = "PENNYWEIGHT_DATA"


class Compared(NamedTuple):
    """Pixels (N, H, W, C) uint8, and their description."""

    pixels: Pixels
    of: str


def choose_pictures(source: str | os.PathLike[str] | None, own: str | None, preprocess: Preprocess) -> Compared:
    """Return up to 64 pictures: of `source`; else of a folder under $PENNYWEIGHT_DATA, `own` first; else seeded noise.

    Raises InputError where `source` has no picture that can be read.
    """
    if source is not None:
        found = _read(os.fspath(source), preprocess)
        if found is None:
            raise InputError(f"{os.fspath(source)} has no picture that this network can read; name another source")
        return found
    for folder in _shelf(own):
        if (found := _read(str(folder), preprocess)) is not None:
            return found
    return Compared(
        seeded_pixels(PICTURES, preprocess.shape), f"{PICTURES} pictures of seeded noise, for want of others"
    )


def _shelf(own: str | None) -> Iterator[Path]:
    """Yield the folders under $PENNYWEIGHT_DATA, the one with the name of the training's source first."""
    shelf = os.environ.get(SHELF)
    if not shelf or not Path(shelf).is_dir():
        return
    folders = [child for child in visible_children(Path(shelf)) if child.is_dir()]
    yield from sorted(folders, key=lambda folder: (folder.name != own, folder.name))


def _read(source: str, preprocess: Preprocess) -> Compared | None:
    """Return pictures of a source, or None where none can be read."""
    listed: list[NamedPicture | Failure] = []
    listed.extend(islice(pictures_given([source], lambda line: None), MOST_LISTED))
    pictures = [each for each in listed if isinstance(each, NamedPicture)]
    pixels = []
    for number in np.linspace(0, len(pictures) - 1, min(len(pictures), PICTURES)).round().astype(int):
        try:
            pixels.append(preprocess(pictures[number].picture, name=pictures[number].source))
        except ImageError:
            continue  # `predict` names it
    return Compared(np.stack(pixels), f"{len(pixels)} pictures of {source}") if pixels else None

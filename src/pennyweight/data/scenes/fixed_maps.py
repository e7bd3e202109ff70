"""Fixed training and test maps: two label maps, or one with a raster of codes, and the split that they give."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.scenes.label_maps import LabelMap
from pennyweight.data.scenes.rasters import read_array
from pennyweight.data.scenes.scene import UNLABELED
from pennyweight.data.scenes.splits import SceneSplit, take_validation

__all__ = ["TEST", "TRAIN", "VAL", "fixed_split", "join_maps", "read_split_map"]

NONE, TRAIN, TEST, VAL = range(4)
"""Codes of a split map."""


def join_maps(train: LabelMap, test: LabelMap, name: str) -> tuple[LabelMap, NDArray[np.int8]]:
    """Join a training map and a test map into one label map; return it with the code of each pixel's part.

    A pixel of both maps is taken for training. Raises SourceError for maps of different sizes.
    """
    if train.targets.shape != test.targets.shape:
        sizes = ("×".join(map(str, each.targets.shape)) for each in (train, test))
        raise SourceError(
            "the training map of {} is {}, and its test map {}; both must have one size".format(name, *sizes)
        )
    ids = tuple(sorted({*train.ids, *test.ids}))
    first, second = (_renumbered(each, ids) for each in (train, test))
    learned, tested = first >= 0, second >= 0
    targets = np.where(learned, first, second)
    parts = np.where(learned, TRAIN, np.where(tested, TEST, NONE)).astype(np.int8)
    notes = [f"{part} map: {note}" for part, each in (("training", train), ("test", test)) for note in each.notes]
    if both := int((learned & tested).sum()):
        other = int((learned & tested & (first != second)).sum())
        notes.append(
            f"{both:,} pixels are in both maps, and are not tested on; {other:,} of them have another class in the "
            "test map"
        )
    named = {**_names(test), **_names(train)}
    names = tuple(named[number] for number in ids) if set(ids) <= set(named) else None
    return LabelMap(targets, ids, names, train.raster, tuple(notes)), parts


def read_split_map(path: str | os.PathLike[str], shape: tuple[int, int]) -> NDArray[np.int8]:
    """Read a raster of codes (H, W): 1 training, 2 test, 3 validation, 0 none. Raises SourceError for another."""
    address = os.fspath(path)
    found = read_array(address, lambda values: values.shape == shape, "a split map").values
    values = found[..., 0] if found.ndim == 3 and found.shape[2] == 1 else found
    if values.shape != shape:
        raise SourceError(f"{address} is {'×'.join(map(str, values.shape))}, and the scene {shape[0]}×{shape[1]}")
    if not np.isin(values, (NONE, TRAIN, TEST, VAL)).all():
        raise SourceError(f"{address} is no split map: its codes are 0 none, 1 training, 2 test, 3 validation")
    return np.asarray(values).astype(np.int8)


def fixed_split(truth: NDArray[np.int16], parts: NDArray[np.int8], labels: tuple[str, ...], *, seed: int) -> SceneSplit:
    """Split the labeled pixels of a scene as its maps fix it.

    Args:
        truth: (H, W) classes; a negative number is unlabeled.
        parts: (H, W) codes; without the code 3, a tenth of each class's training pixels validates.
        labels: Names of the classes.
        seed: Seed of the validation pixels.

    Raises:
        SourceError: No pixel is tested, or fewer than two classes have a training pixel.
        InputError: No class has a second training pixel, which could validate.
    """
    flat, part = truth.ravel(), parts.ravel()
    draw = np.random.default_rng([seed, 20])
    shares = [draw.permutation(np.flatnonzero((flat == kind) & (part == TRAIN))) for kind in range(len(labels))]
    given = np.flatnonzero((flat >= 0) & (part == VAL))
    learn, select = take_validation(shares) if not len(given) else (np.sort(np.concatenate(shares)), given)
    trained = np.array([len(share) > 0 for share in shares])
    every = np.flatnonzero((flat >= 0) & (part == TEST))
    test = every[trained[flat[every]]]
    if trained.sum() < 2:
        raise SourceError(f"{trained.sum()} classes have a training pixel; training needs two")
    if not len(test):
        raise SourceError("no test pixel has a class that is trained on; the test map must name some")
    if not len(select):
        raise InputError("every class has a single training pixel, and none is left to validate: label a second one")
    return SceneSplit(
        kind="fixed",
        train=learn,
        val=select,
        test=test,
        guard=int((flat >= 0).sum()) - len(learn) - len(select) - len(every),
        left_out=tuple(int(kind) for kind in np.unique(flat[every]) if not trained[kind]),
    )


def _renumbered(found: LabelMap, ids: tuple[int, ...]) -> NDArray[np.int16]:
    """Return targets by their place among `ids`."""
    numbers = np.array([ids.index(number) for number in found.ids] + [UNLABELED], np.int16)
    return numbers[found.targets]  # the last is that of UNLABELED


def _names(found: LabelMap) -> dict[int, str]:
    return dict(zip(found.ids, found.names or (), strict=False))

"""Leakage of a scene's split: the share of test windows that hold training pixels, before anything is trained."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.data.scenes.fixed_maps import fixed_split, join_maps
from pennyweight.data.scenes.label_maps import open_label_map, read_label_map
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.places import require_same_place
from pennyweight.data.scenes.splits import SceneSplit, SplitKind, split_scene
from pennyweight.scoring.leakage import measure_leakage
from pennyweight.verbs.scenes.plan import SceneOptions

__all__ = ["leakage"]


def leakage(
    labels: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    split: SplitKind = "random",
    train: float = 0.3,
    window: int = 25,
    background: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Split a label map as `pw.scene.fit` splits it, and count the test windows that hold training pixels.

    Args:
        labels: File of a label map (H, W); FILE#VARIABLE names an array of a .mat; or `scene:NAME`.
        test: File of the label map of the test pixels; `labels` is then that of the training pixels.
        split: "random", as papers split; or "blocks", with a guard of half a window between training and test.
        train: Training share of each class where it is below 1, else pixels of each class.
        window: Pixels a side of the neighborhood that a network would see; odd.
        background: Id of the unlabeled pixels of a file.
        seed: Seed of the split.

    Returns:
        "split"; "counts" of train, val and test pixels by class; "leakage" with "share" (0 to 1), "test_windows",
        "mean_training_pixels" and "mean_training_pixels_own_class" (training pixels in a test window); and "notes".

    Raises:
        SourceError: There is no label map at `labels`, or it has too few pixels of a class for the split.
        InputError: An option is out of range.
    """
    options = SceneOptions(split=split, train=train, window=window, background=background)
    if test is not None:
        usual = SceneOptions()
        if (options.split, options.train) != (usual.split, usual.train):
            raise InputError("--test fixes the split: leave out --split and --train")
        return _of_maps(labels, test, options, seed)
    if isinstance(labels, str) and labels.startswith("scene:"):
        if background:
            raise InputError(f"background ({background}) is for the file of a label map; {labels} has its own")
        opened = open_scene(labels)
        truth, names = opened.truth, opened.labels
    else:
        truth, ids = open_label_map(labels, background=options.background)
        names = tuple(f"class {number}" for number in ids)
    parts = split_scene(truth, names, kind=options.split, train=options.train, window=options.window, seed=seed)
    return _measured(truth, names, parts, window)


def _of_maps(
    labels: str | os.PathLike[str], test: str | os.PathLike[str], options: SceneOptions, seed: int
) -> dict[str, Any]:
    """Measure the leakage between a training map and a test map."""
    if isinstance(labels, str) and labels.startswith("scene:"):
        raise InputError(f"--test goes with the file of a training map; {labels} has one label map for both")
    maps = [read_label_map(path, background=options.background) for path in (labels, test)]
    require_same_place(str(labels), maps[0].raster, maps[1].raster, "test map")
    joined, codes = join_maps(maps[0], maps[1], str(labels))
    names = joined.names or tuple(f"class {number}" for number in joined.ids)
    found = _measured(joined.targets, names, fixed_split(joined.targets, codes, names, seed=seed), options.window)
    return {**found, "notes": [*joined.notes, *found["notes"]]}


def _measured(truth: NDArray[np.int16], names: tuple[str, ...], parts: SceneSplit, window: int) -> dict[str, Any]:
    return {
        "split": parts.kind,
        "counts": parts.counts,
        "leakage": measure_leakage(truth, parts.share, parts.test, window=window).to_dict(),
        "notes": parts.notes(names, truth),
    }

"""Open the labeled pictures behind a run, and compute their features with its network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.core.figures import several
from pennyweight.core.files import require_new
from pennyweight.core.prediction import Failure
from pennyweight.core.run import Run
from pennyweight.runtime import NamedPicture
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.load import checked, classifier_of
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.scored_source import open_scored_source, open_training_source, origin_of

__all__ = ["Labeled", "Telling", "features_of", "open_labeled", "open_run", "require_outputs"]

Advance = Callable[[int], None]


class Telling(TypedDict):
    """Largest picture to read, and callbacks that `review` and `suggest` are given."""

    max_pixels: int | None
    advance: Advance
    left_out: Callable[[data.Unreadable], None]


class Labeled(NamedTuple):
    """Labeled pictures with their features."""

    source: data.Source
    """The source with the readable pictures alone."""
    features: NDArray[np.float32]
    """(N, F)."""
    clusters: Mapping[str, str]
    """Name of the cluster of each picture with twins, by its digest."""
    levels: Any
    """Levels that 16-bit pictures use, as `data.measure_levels` gives them."""
    learned: bool
    """True if the layers before the last one learned from these labels too."""


def require_outputs(count: int | None, *files: str | os.PathLike[str] | None) -> None:
    """Raise InputError for a file that exists already, and for fewer pictures than 1."""
    for file in files:
        if file is not None:
            require_new(Path(file))
    if count is not None and count < 1:
        raise InputError(f"count is a number of pictures, at least 1, not {count}")


def open_run(run: str | os.PathLike[str] | Run, verb: str) -> Run:
    """Open a run of pictures. Raises RunError for anything else, InputError for the run of a scene."""
    if not isinstance(run, Run):
        path = Path(run)
        if path.is_file():
            raise RunError(f"{verb} takes a run's folder, and {path} is a file; name the folder that `fit` made")
        run = Run(path)
    refuse_scene_run(checked(run), verb)
    return run


def open_labeled(
    run: Run,
    source: data.AnySource | None,
    *,
    verb: str,
    read_as: data.ReadAs | Mapping[str, Any] | None,
    **telling: Unpack[Telling],
) -> Labeled:
    """Open the source of a run's training, or another one, and compute features of all its pictures.

    Raises SourceError where it is not here, is streamed, or has no picture left.
    """
    origin = origin_of(run)
    if source is None:
        opened = open_training_source(run, origin, needed_by=verb, otherwise=f"; name them: {verb} {run.folder} SOURCE")
    else:
        opened = open_scored_source(source, run, origin, read_as)
    if opened.streamed:
        raise SourceError(f"{verb} shows single pictures, and {opened.name} is streamed shards; name a folder of them")
    opened.require_classes(2)
    glances = data.glance_at(opened, max_pixels=telling["max_pixels"])
    twins = None if glances is None else data.twins_among(glances)
    clusters = data.clusters_of(opened, twins, "group")
    for each in opened.unreadable:
        telling["left_out"](each)
    kept, features = features_of(run, opened.samples, **telling)
    if not kept:
        raise SourceError(f"none of {several(len(opened.samples), 'picture')} of {opened.name} can be read")
    return Labeled(
        source=replace(opened, samples=tuple(kept)),
        features=features,
        clusters=clusters,
        levels=data.measure_levels(opened, kept, max_pixels=telling["max_pixels"]),
        learned=run.info.recipe.get("mode") != "head" and origin.is_source(opened),
    )


def features_of(
    run: Run,
    samples: Sequence[data.Sample],
    **telling: Unpack[Telling],
) -> tuple[list[data.Sample], NDArray[np.float32]]:
    """Return the readable pictures, and their features (N, F)."""
    classifier = classifier_of(run, Execution(None, None, None, lambda line: None), telling["max_pixels"])
    pictures = (NamedPicture(sample.where, sample.read()) for sample in samples)
    kept, rows = [], []
    for sample, found in zip(samples, classifier.embed_named(pictures), strict=True):
        telling["advance"](1)
        if isinstance(found, Failure):
            telling["left_out"](data.Unreadable(sample.name, found.error))
        else:
            kept.append(sample)
            rows.append(found.features)
    return kept, np.stack(rows) if rows else np.empty((0, 0), np.float32)

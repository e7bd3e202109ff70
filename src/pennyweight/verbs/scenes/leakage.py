"""`leakage`: what a split of a label map is worth, before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pennyweight.core.settings import override
from pennyweight.data.scenes.open import open_label_map, open_scene
from pennyweight.data.scenes.splits import split_scene
from pennyweight.scoring.leakage import leakage
from pennyweight.verbs.scenes.plan import SceneOptions

__all__ = ["leakage_of"]


def leakage_of(
    labels: str | os.PathLike[str], *, scene: SceneOptions | Mapping[str, Any] | None = None, seed: int = 0
) -> dict[str, Any]:
    """Split a label map (a file, or `scene:NAME`) as `fit` would, and count what its test windows hold of training.

    `scene` are fields of SceneOptions: split, train, window, background. Gives counts, leakage and notes.
    """
    options = scene if isinstance(scene, SceneOptions) else override(SceneOptions(), scene or {}, what="scene")
    if isinstance(labels, str) and labels.startswith("scene:"):
        opened = open_scene(labels)
        truth, names = opened.truth, opened.labels
    else:
        truth, ids = open_label_map(labels, background=options.background)
        names = tuple(f"class {number}" for number in ids)
    split = split_scene(truth, names, kind=options.split, train=options.train, window=options.window, seed=seed)
    return {
        "split": split.kind,
        "counts": split.counts,
        "leakage": leakage(truth, split.share, split.test, window=options.window).to_dict(),
        "notes": split.notes(names, truth),
    }

"""`evaluate` for a scene's run: the map again, scored on its test pixels."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.runtime.scene_mapper import map_scene
from pennyweight.scoring.leakage import leakage
from pennyweight.scoring.scene import SceneEvaluation, score_scene
from pennyweight.verbs.scenes.load import load_mapper, reopen
from pennyweight.verbs.scenes.plan import SceneOptions, split_of

__all__ = ["evaluate_scene", "judge"]


def evaluate_scene(
    run: Run | str | os.PathLike[str],
    *,
    bfloat16: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> SceneEvaluation:
    """Map the scene that a run was trained on, and score the test pixels of its split. Twice gives the same."""
    run = run if isinstance(run, Run) else Run(os.fspath(run))  # type: ignore[arg-type]  # Run makes a path of it
    scene = reopen(run)
    options = override(SceneOptions(), run.record["scene"]["options"], what="scene")
    split = split_of(scene, options, run.record["seed"])
    mapped = map_scene(load_mapper(run, bfloat16=bfloat16).engine, scene.cube, advance=advance)
    return judge(scene, split, mapped.classes, options.window)


def judge(scene: Scene, split: SceneSplit, classes: object, window: int) -> SceneEvaluation:
    """Score a map (H, W) of class numbers on the test pixels."""
    return score_scene(
        np.asarray(classes).ravel()[split.test].astype(np.int64),
        scene.truth.ravel()[split.test].astype(np.int64),
        labels=scene.labels,
        source=scene.name,
        split=split.kind,
        leakage=leakage(scene.truth, split.share, split.test, window=window),
        left_out=split.left_out,
        masked=scene.masked,
    )

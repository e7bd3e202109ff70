"""Score a scene's run: map its scene again, and compare the test pixels."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.scoring.leakage import measure_leakage
from pennyweight.scoring.scene import SceneEvaluation, score_scene
from pennyweight.verbs.scenes.load import load, open_scene_run, reopen
from pennyweight.verbs.scenes.plan import SceneOptions, split_of

__all__ = ["evaluate", "judge", "split_of_run"]


def evaluate(
    run: str | os.PathLike[str] | Run,
    *,
    bfloat16: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> SceneEvaluation:
    """Map the scene that a run was trained on, and score the test pixels of its split. Two calls give the same scores.

    Args:
        run: Folder that `pw.scene.fit` made, or its Run.
        bfloat16: Multiply in bfloat16.
        advance: Callback that is given the number of pixels after each tile of the map.

    Returns:
        Overall and average accuracy, kappa and each class's accuracy (0 to 1), and the leakage of the split.

    Raises:
        InputError: `run` is no run of a scene.
        SourceError: The scene is not here, or its content has changed since training.
    """
    run = open_scene_run(run, "evaluate")
    scene = reopen(run)
    split = split_of_run(run, scene)
    mapped = load(run, bfloat16=bfloat16).map(scene.cube, advance=advance)
    return judge(scene, split, mapped.classes, run.info.of_scene.window)


def split_of_run(run: Run, scene: Scene) -> SceneSplit:
    """Split the scene of a run as its training did."""
    return split_of(scene, override(SceneOptions(), run.info.of_scene.options, what="scene"), run.info.seed)


def judge(scene: Scene, split: SceneSplit, classes: object, window: int) -> SceneEvaluation:
    """Score a map (H, W) of class numbers on the test pixels."""
    return score_scene(
        np.asarray(classes).ravel()[split.test].astype(np.int64),
        scene.truth.ravel()[split.test].astype(np.int64),
        labels=scene.labels,
        source=scene.name,
        split=split.kind,
        leakage=measure_leakage(scene.truth, split.share, split.test, window=window),
        left_out=split.left_out,
        masked=scene.masked,
    )

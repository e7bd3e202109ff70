"""Tell how many labeled pixels of a map were trained on, where the run can say so."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.core.run import Run
from pennyweight.data.scenes.scene import Scene
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.verbs.scenes.load import Mapper, open_scene_run, reopen

__all__ = ["is_cube_of_training", "seen_pixels"]


def is_cube_of_training(mapper: Mapper, scene: Scene) -> bool | None:
    """Return whether a cube has the numbers of the training's; None if the run, of an earlier version, cannot say."""
    if mapper.cube_fingerprint is not None:
        return scene.cube_fingerprint == mapper.cube_fingerprint
    return True if scene.fingerprint == mapper.fingerprint else None


def seen_pixels(
    run_or_bundle: str | os.PathLike[str] | Run | SceneBundle, judged: NDArray[np.bool_], same: bool | None
) -> int | None:
    """Count the training and validation pixels among the judged pixels (H, W) of a map.

    Args:
        run_or_bundle: The run or bundle that made the map; a bundle does not hold its split.
        judged: Mask of the judged pixels.
        same: Result of `is_cube_of_training`.

    Returns:
        The number; 0 for another cube; None where it is not known.
    """
    if same is False:
        return 0
    if isinstance(run_or_bundle, SceneBundle) or not same:
        return None
    if not isinstance(run_or_bundle, Run) and Path(run_or_bundle).is_file():
        return None
    run = open_scene_run(run_or_bundle)
    from pennyweight.verbs.scenes.evaluate import split_of_run  # torch, which a bundle does without

    try:
        split = split_of_run(run, reopen(run))
    except (SourceError, DownloadError):
        return None
    return int(judged.ravel()[split.share].sum())

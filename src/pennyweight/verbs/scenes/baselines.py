"""Baselines of a scene: simpler classifiers, scored on the same split as the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pennyweight.core.errors import InputError
from pennyweight.core.spectral import Projection
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.deploy.scene_graph import torch_scene_engine
from pennyweight.report.progress import TrainingProgress
from pennyweight.runtime.scene_mapper import map_scene
from pennyweight.scoring.baselines import Spectra, nearest_neighbor, rbf_svm
from pennyweight.verbs.scenes.evaluate import judge
from pennyweight.verbs.scenes.plan import SceneOptions, ScenePlan, make_scene_plan
from pennyweight.verbs.scenes.train import learn

__all__ = ["NETWORKS", "SPECTRAL", "baseline_plans", "baselines"]

SPECTRAL: dict[str, Callable[..., Any]] = {"nearest neighbor": nearest_neighbor, "RBF-SVM": rbf_svm}
NETWORKS = ("spectral_mlp", "window_cnn")


def baseline_plans(
    scene: Scene, split: SceneSplit, options: SceneOptions, *, seed: int, besides: str
) -> dict[str, ScenePlan]:
    """Plan the networks among the baselines, without the one called `besides`, which is scored itself.

    Raises InputError where one of them cannot be made, such as for a window that is too small.
    """
    plans = {
        name: make_scene_plan(scene, split, name, options, recipe=None, config={}, seed=seed)
        for name in NETWORKS
        if name != besides
    }
    for name, plan in plans.items():
        try:
            plan.make()
        except InputError as error:
            raise InputError(f"baseline {name} cannot be trained: {error}; leave the baselines out") from error
    return plans


def baselines(
    scene: Scene, split: SceneSplit, plans: Mapping[str, ScenePlan], *, window: int, shown: TrainingProgress
) -> dict[str, dict[str, Any]]:
    """Train and score each baseline on the same split; return the evaluations by name.

    The spectral baselines see every band, scaled but without components. The scaling is fitted on training pixels
    under both protocols.
    """
    flat = scene.truth.ravel()
    where = {name: np.unravel_index(getattr(split, name), scene.shape) for name in ("train", "val", "test")}
    scaling = Projection.fit(scene.cube[where["train"]], None)
    values = {name: scaling(scene.cube[place]) for name, place in where.items()}
    seen = {name: Spectra(values[name], flat[getattr(split, name)].astype(np.int64)) for name in ("train", "val")}
    scored: dict[str, dict[str, Any]] = {}
    for name, classify in SPECTRAL.items():
        shown.note(f"baseline {name}")
        answers = np.full(flat.shape, -1, np.int64)
        answers[split.test] = classify(seen["train"], seen["val"], values["test"])
        scored[name] = judge(scene, split, answers, window).to_dict()
    for name, plan in plans.items():
        shown.note(f"baseline {name}")
        network, _ = learn(scene, split, plan)
        engine = torch_scene_engine(network, plan.projection, window=window)
        scored[name] = judge(scene, split, map_scene(engine, scene.cube).classes, window).to_dict()
    return scored

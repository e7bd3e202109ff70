"""Scenes are cut into windows or tiles, for networks of several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.data.scenes.windows import Padded, SceneTiles, SceneWindows
from pennyweight.verbs.scenes.fit import fit as fit_scene
from pennyweight.verbs.scenes.plan import SceneOptions, make_scene_plan, split_of

SMALL: dict[str, Any] = {"scene": {"window": 9, "train": 40}, "recipe": {"epochs": 12}, "progress": False}


@pytest.mark.slow
def test_blocks_have_no_leakage_and_tiles_train_too(tmp_path: Path) -> None:
    scene = {"window": 9, "train": 0.2, "split": "blocks", "cut": "tiles"}
    made = fit_scene(
        "scene:synthetic", "window_cnn", out=tmp_path / "run", scene=scene, recipe={"epochs": 8}, progress=False
    )
    assert made.evaluation["leakage"]["share"] == 0
    assert made.evaluation["overall_accuracy"] > 0.5
    assert "No test window of 9×9 holds a training pixel" in made.report_path.read_text()


def test_tiles_are_trained_for_as_many_steps_as_windows() -> None:
    scene, steps = synthetic(), {}
    for cut in ("windows", "tiles"):
        options = SceneOptions(window=9, train=0.2, split="blocks", cut=cut)
        split = split_of(scene, options, 0)
        plan = make_scene_plan(scene, split, "window_cnn", options, recipe=None, config={}, seed=0)
        kind = SceneTiles if cut == "tiles" else SceneWindows
        cuts = kind(Padded.of(scene, plan.projection, 9), split.train)
        steps[cut] = plan.recipe.epochs * cuts.steps(plan.recipe.batch)
    assert steps["windows"] <= steps["tiles"] < 1.2 * steps["windows"]


@pytest.mark.slow
def test_a_vit_takes_the_same_windows(tmp_path: Path) -> None:
    made = fit_scene(
        synthetic(40, 40, classes=3),
        "vit_ti_16",
        out=tmp_path / "run",
        scene={"window": 15, "train": 20},
        config={"d": 32, "heads": 2, "blocks": 4, "hidden": 64},
        recipe={"epochs": 1},
        progress=False,
    )
    assert made.record["model"]["config"]["patch"] == 5
    assert made.record["model"]["in_channels"] == 15
    bundle = pw.scene.export(made, tmp_path / "vit.onnx")
    assert bundle.manifest.form == "windows"
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pixels"] > 1000

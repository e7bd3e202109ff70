"""What a scene cannot be fitted with is said before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.scenes.rasters import Raster
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.verbs.scenes.fit import fit as fit_scene
from pennyweight.verbs.scenes.plan import SceneOptions, make_scene_plan, split_of


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 99}, "a window of 99 is larger than the scene of 72×64; --window 63 is the most"),
        ({"components": 61}, "61 components cannot be made of 60 bands; take 1 to 60"),
        ({"train": 300}, "has 237 labeled pixels, and --train 300 needs at least 301"),
        ({"window": 10}, "must be odd and at least 1, not 10; 11 would do"),
        ({"windows": 9}, "unknown scene field 'windows'; did you mean 'window'"),
        ({"split": "block"}, "must be one of random, blocks"),
    ],
)
def test_what_cannot_be_used_is_explained_and_nothing_is_written(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        fit_scene("scene:synthetic", out=tmp_path / "run", scene=options, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", ["scene:synthetic", "cube.mat", Path("cube.npy#a"), synthetic()], ids=str)
@pytest.mark.parametrize("option", [{}, {"minutes": 1.0}, {"scene": {"window": 9}}])
def test_fit_names_the_function_that_trains_on_scenes(source: Any, option: dict[str, Any], tmp_path: Path) -> None:
    command = r"(: pennyweight scene fit .*, or)?"  # a Scene that is held in Python has no command
    with pytest.raises(InputError, match=rf" is a scene; train on it with{command} pw\.scene\.fit$"):
        pw.fit(source, out=tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_the_options_of_a_scene_are_no_options_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fit has no 'scene'; .* pw\.scene\.fit"):
        pw.fit("digits", out=tmp_path / "run", scene={"window": 9})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "field", [{"erase": 0.9}, {"policy": "rand"}, {"mixup": 1}, {"balance": "sampling"}, {"shift": 0.4}]
)
def test_what_a_recipe_would_not_do_is_refused(field: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"recipe field '{next(iter(field))}'.* is for pictures"):
        fit_scene("scene:synthetic", out=tmp_path / "run", recipe=field, scene={"window": 9}, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_recipe_by_its_name_leaves_windows_in_their_place() -> None:
    scene = synthetic()
    options = SceneOptions(window=9)
    split = split_of(scene, options, seed=0)
    plan = make_scene_plan(
        scene, split, "window_cnn", options, recipe={"name": "sprint", "epochs": 2}, config={}, seed=0
    )
    assert (plan.recipe.optimizer, plan.recipe.epochs, plan.recipe.shift, plan.recipe.first_size) == ("muon", 2, 0, 1)


def test_a_baseline_that_cannot_be_trained_is_said_before_anything_is(tmp_path: Path) -> None:
    options = {"window": 5, "train": 20}
    with pytest.raises(InputError, match=r"baseline window_cnn cannot be trained: .*; leave the baselines out"):
        fit_scene(
            "scene:synthetic", "spectral_mlp", out=tmp_path / "run", scene=options, with_baselines=True, progress=False
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "seed", "message"),
    [
        ({"train": float("inf")}, 0, "the training share is a share below 1, or pixels of each class, not inf"),
        ({"window": -3}, 0, "odd and at least 1, not -3; 1 would do"),
        ({}, -1, "seed must be at least 0"),
    ],
)
def test_numbers_that_cannot_be_used(options: dict[str, Any], seed: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        fit_scene("scene:synthetic", out=tmp_path / "run", scene=options, seed=seed, progress=False)


def test_auto_takes_what_the_bands_suffice_for() -> None:
    scene = synthetic()
    few = replace(scene, raster=Raster(scene.cube[..., :5]))
    for opened, expected in ((scene, "hybrid_sn_bn"), (few, "window_cnn")):
        options = SceneOptions(window=9)
        split = split_of(opened, options, seed=0)
        plan = make_scene_plan(opened, split, "auto", options, recipe=None, config={}, seed=0)
        assert plan.model["name"] == expected
        plan.make()


def test_a_scene_of_nothing_is_named(tmp_path: Path) -> None:
    scene = synthetic()
    with pytest.raises(SourceError, match="no pixel of synthetic has a number in every band"):
        fit_scene(replace(scene, raster=Raster(scene.cube * np.nan)), out=tmp_path / "run", progress=False)

"""Fixed training and test maps: split, scores and leakage are those counted by hand from the two rasters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

import pennyweight as pw
from pennyweight.cli import main
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.verbs.scenes.plan import SceneOptions, split_of

MADE = synthetic(40, 44, 20, 4, seed=2)
IDS = np.where(MADE.truth >= 0, np.array([1, 2, 5, 9])[MADE.truth], 0)
PATCHES = np.kron(np.random.default_rng(0).random((10, 11)) < 0.25, np.ones((4, 4), bool))
TRAIN, TEST = np.where(PATCHES, IDS, 0), np.where(PATCHES, 0, IDS)
TRAIN[TRAIN == 9] = 0  # a class that only the test map has
TEST[:4, :4] = IDS[:4, :4]  # some pixels of both maps
TRAIN[:4, :4] = IDS[:4, :4]
TEST[0, 0] = 5 if IDS[0, 0] != 5 else 2
HALF = 4


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "cube.npy", MADE.cube)
    np.save(tmp_path / "train.npy", TRAIN)
    np.save(tmp_path / "test.npy", TEST)
    return {"labels": str(tmp_path / "train.npy"), "test_labels": str(tmp_path / "test.npy")}


def by_hand() -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Masks of the training and of the scored test pixels, and their leakage, pixel by pixel."""
    learned = TRAIN > 0
    tested = (TEST > 0) & ~learned & np.isin(TEST, TRAIN[learned])
    every, own = [], []
    for row, col in np.argwhere(tested):
        near = np.s_[max(row - HALF, 0) : row + HALF + 1, max(col - HALF, 0) : col + HALF + 1]
        every.append(learned[near].sum())
        own.append((TRAIN[near] == TEST[row, col]).sum())
    every, own = np.array(every), np.array(own)
    return learned, tested, {
        "share": (every > 0).mean(),
        "mean_training_pixels": every.mean(),
        "share_own_class": (own > 0).mean(),
        "mean_training_pixels_own_class": own.mean(),
    }  # fmt: skip


def test_run_evaluation_and_map_agree_with_the_two_rasters(files: dict[str, Any], tmp_path: Path) -> None:
    learned, tested, leakage = by_hand()
    scene = {**files, "window": 2 * HALF + 1}
    run = pw.scene.fit(
        tmp_path / "cube.npy", "spectral_mlp", out=tmp_path / "run", scene=scene, recipe={"epochs": 2}, progress=False
    )
    scored = run.evaluation
    counts = run.record["data"]["counts"]
    assert counts["train"] + counts["val"] == learned.sum()
    assert 0 < counts["val"] < 0.2 * learned.sum()
    assert scored["pixels"] == counts["test"] == tested.sum()
    assert {name: scored["leakage"][name] for name in leakage} == pytest.approx(leakage, abs=0)
    found = pw.scene.leakage(files["labels"], test=files["test_labels"], window=2 * HALF + 1)
    assert (found["leakage"], found["counts"], found["split"]) == (scored["leakage"], counts, "fixed")
    assert scored["left_out"] == ["class 9"]
    notes = run.record["data"]["notes"]
    both = int(((TRAIN > 0) & (TEST > 0)).sum())
    assert any(
        f"{both} pixels are in both maps, and are not tested on; 1 of them have another" in note for note in notes
    )
    assert "'class 9' has no training pixel, and is not scored" in notes
    # the scores, from the map alone
    classes = np.array([1, 2, 5, 9])[pw.scene.load(run).map(MADE.cube).classes]
    right = classes == TEST
    assert scored["overall_accuracy"] == right[tested].mean()
    recalls = [right[tested & (number == TEST)].mean() for number in np.unique(TEST[tested])]
    assert scored["average_accuracy"] == pytest.approx(np.mean(recalls), abs=1e-15)
    assert json.loads(json.dumps(pw.scene.evaluate(run).to_dict())) == scored
    assert "Errors on the test pixels" in run.report_path.read_text()
    np.save(tmp_path / "only.npy", np.where(tested, TEST, 0))
    mapped = pw.scene.predict(run, tmp_path / "cube.npy", map=tmp_path / "m.png", labels=tmp_path / "only.npy")
    own = json.loads(json.dumps(mapped.to_dict()))["scores"]
    assert own == {name: scored[name] for name in own}
    np.save(tmp_path / "test.npy", np.where(TEST == 2, 0, TEST))
    with pytest.raises(SourceError, match="its content has changed"):
        pw.scene.evaluate(run)


@pytest.mark.slow
def test_a_bundle_keeps_the_scores_of_fixed_maps(files: dict[str, Any], tmp_path: Path) -> None:
    scene = {**files, "window": 2 * HALF + 1}
    recipe = {"epochs": 1}
    run = pw.scene.fit(
        tmp_path / "cube.npy", "window_cnn", out=tmp_path / "run", scene=scene, recipe=recipe, progress=False
    )
    kept = pw.scene.export(run).manifest.evaluation
    assert kept == {name: run.evaluation[name] for name in kept or {}}


def test_two_variables_or_a_raster_of_codes_give_the_same_split(files: dict[str, Any], tmp_path: Path) -> None:
    cube = tmp_path / "cube.npy"
    scene = open_scene(cube, files["labels"], test_labels=files["test_labels"])
    savemat(tmp_path / "m.mat", {"tr": TRAIN, "te": TEST})
    mat = open_scene(cube, f"{tmp_path / 'm.mat'}#tr", test_labels=f"{tmp_path / 'm.mat'}#te")
    np.save(tmp_path / "all.npy", np.where(TRAIN > 0, TRAIN, TEST))
    np.save(tmp_path / "codes.npy", scene.parts)
    coded = open_scene(cube, tmp_path / "all.npy", split_map=tmp_path / "codes.npy")
    options = SceneOptions(window=9)
    splits = [split_of(each, options, seed=3) for each in (scene, mat, coded)]
    for other in splits[1:]:
        for part in ("train", "val", "test"):
            np.testing.assert_array_equal(getattr(splits[0], part), getattr(other, part))
    codes = scene.parts.copy()  # type: ignore[union-attr]
    codes.ravel()[splits[0].train[:40]] = 3
    np.save(tmp_path / "codes.npy", codes)
    given = split_of(open_scene(cube, tmp_path / "all.npy", split_map=tmp_path / "codes.npy"), options, seed=3)
    np.testing.assert_array_equal(given.val, splits[0].train[:40])
    np.save(tmp_path / "codes.npy", codes + 3)
    with pytest.raises(SourceError, match="is no split map: its codes are 0 none, 1 training, 2 test, 3 validation"):
        open_scene(cube, tmp_path / "all.npy", split_map=tmp_path / "codes.npy")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"split": "blocks"}, "--test-labels fixes the split: leave out --split"),
        ({"train": 20}, "--test-labels fixes the split: leave out --train"),
        ({"split_map": "x.npy"}, "both fix the split: give one of them"),
    ],
)
def test_two_ways_to_split_are_refused(files: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneOptions(**files, **more)


def test_leakage_of_two_maps_is_printed(files: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["scene", "leakage", files["labels"], "--test", files["test_labels"], "--window", "9"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["leakage"]["share"] == by_hand()[2]["share"]
    assert main([*arguments, "--split", "blocks"]) == 1
    assert "--test fixes the split: leave out --split and --train" in capsys.readouterr().err

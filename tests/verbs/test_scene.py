"""From a scene to a run, its score, its bundle and its maps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pennyweight as pw
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.core.spectral import Projection
from pennyweight.data.envi import read_envi, write_envi
from pennyweight.data.rasters import Raster
from pennyweight.data.scene import Scene
from pennyweight.data.scenes import open_scene
from pennyweight.data.synthetic import synthetic
from pennyweight.data.windows import Padded, SceneTiles, SceneWindows
from pennyweight.runtime import Outputs
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import WindowsEngine, map_scene, tiles
from pennyweight.verbs.fit_scene import fit_scene
from pennyweight.verbs.fit_seeds import fit_seeds
from pennyweight.verbs.load import restore
from pennyweight.verbs.load_scene import load_mapper, projection_of
from pennyweight.verbs.predict_scene import predict_scene
from pennyweight.verbs.scene_plan import SceneOptions, make_scene_plan, split_of

SMALL: dict[str, Any] = {"scene": {"window": 9, "train": 40}, "recipe": {"epochs": 12}, "progress": False}


@pytest.fixture(scope="module")
def run(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    return fit_scene("scene:synthetic", "window_cnn", out=tmp_path_factory.mktemp("scene") / "run", **SMALL)


@pytest.fixture(scope="module")
def bundle(run: pw.Run, tmp_path_factory: pytest.TempPathFactory) -> SceneBundle:
    made = pw.export(run, tmp_path_factory.mktemp("scene-bundle") / "scene.onnx")
    assert isinstance(made, SceneBundle)
    return made


def test_a_run_learns_and_says_what_its_score_is_worth(run: pw.Run) -> None:
    scored = run.evaluation
    assert scored["overall_accuracy"] > 0.6
    assert scored["leakage"]["share"] > 0.9
    assert run.record["scene"]["leakage"] == scored["leakage"]
    assert {path.name for path in run.folder.iterdir()} == {
        *("run.json", "metrics.jsonl", "weights.safetensors", "evaluation.json", "report.html", "projection.json"),
        "checkpoints",
    }
    page = run.report_path.read_text()
    assert "synthetic scene" in page
    assert "of the test windows of 9×9 hold training pixels" in page


def test_two_evaluations_are_identical_and_those_of_fit(run: pw.Run) -> None:
    first, second = (json.loads(json.dumps(pw.evaluate(run).to_dict())) for _ in range(2))
    assert first == second == run.evaluation


def test_one_seed_gives_one_map_bit_for_bit(run: pw.Run, tmp_path: Path) -> None:
    again = fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "run", **SMALL)
    assert again.weights_path.read_bytes() == run.weights_path.read_bytes()
    cube = synthetic().cube
    maps = [map_scene(load_mapper(made).engine, cube) for made in (run, again)]
    np.testing.assert_array_equal(maps[0].classes, maps[1].classes)
    np.testing.assert_array_equal(maps[0].confidence, maps[1].confidence)


@pytest.mark.slow
def test_a_stopped_one_goes_on_and_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.report.progress import TrainingProgress

    few: dict[str, Any] = {**SMALL, "recipe": {"epochs": 3, "patience": 3}}
    whole = fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "whole", **few)
    steps = 0

    def step(self: TrainingProgress, loss: float, images: int, **more: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 16:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(TrainingProgress, "step", step)
    with pytest.raises(SystemExit):
        fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "parts", **few)
    stopped = len(pw.Run(tmp_path / "parts").metrics_path.read_text().splitlines())
    assert 0 < stopped < 3
    with pytest.raises(RunError, match="scene window was 9 and is 11 now; resume"):
        fit_scene(
            "scene:synthetic",
            "window_cnn",
            out=tmp_path / "parts",
            resume=True,
            **{**few, "scene": {"window": 11, "train": 40}},
        )
    parts = fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "parts", resume=True, **few)
    assert parts.weights_path.read_bytes() == whole.weights_path.read_bytes()
    assert parts.evaluation == whole.evaluation
    assert steps == 3 * 7  # none twice


def test_only_training_pixels_fit_the_projection_unless_the_papers_protocol_is_asked_for(run: pw.Run) -> None:
    scene, options = synthetic(), SceneOptions(window=9, train=40)
    split = split_of(scene, options, 0)
    other = replace(scene, raster=Raster(scene.cube.copy()))
    other.cube.reshape(-1, scene.bands)[split.test] *= 3
    for protocol, same in (("training", True), ("paper", False)):
        asked = replace(options, protocol=protocol)
        found = [
            make_scene_plan(s, split, "window_cnn", asked, recipe=None, config={}, seed=0).projection.matrix
            for s in (scene, other)
        ]
        assert np.array_equal(*found) is same
    rows, cols = np.unravel_index(split.train, scene.shape)
    np.testing.assert_array_equal(projection_of(run).matrix, Projection.fit(scene.cube[rows, cols], 15).matrix)


def test_the_papers_protocol_says_that_it_looks_at_test_pixels(tmp_path: Path) -> None:
    scene = {"window": 9, "train": 40, "protocol": "paper"}
    made = fit_scene(
        "scene:synthetic", "spectral_mlp", out=tmp_path / "run", scene=scene, recipe={"epochs": 1}, progress=False
    )
    assert any("on the whole scene, test pixels too" in note for note in made.record["data"]["notes"])


def test_blocks_have_no_leakage_and_tiles_train_too(tmp_path: Path) -> None:
    scene = {"window": 9, "train": 0.2, "split": "blocks", "cut": "tiles"}
    made = fit_scene(
        "scene:synthetic", "window_cnn", out=tmp_path / "run", scene=scene, recipe={"epochs": 15}, progress=False
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
    bundle = pw.export(made, tmp_path / "vit.onnx")
    assert bundle.manifest.form == "windows"
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pixels"] > 1000


def test_a_bundle_maps_as_the_run_does_whatever_the_scene(run: pw.Run, bundle: SceneBundle) -> None:
    assert bundle.manifest.parity["largest_probability_difference"] <= 1e-4
    cube = synthetic(61, 47, seed=3).cube
    cube[10, 10] = np.nan
    a, b = (map_scene(mapper.engine, cube, tile=24) for mapper in (load_mapper(run), load_mapper(bundle)))
    np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-4)
    assert (a.classes == b.classes).mean() > 0.999
    assert a.masked == b.masked == 1


def test_mapping_with_a_bundle_loads_no_torch(bundle: SceneBundle, tmp_path: Path) -> None:
    code = (
        "import sys; from pennyweight.cli import main\n"
        "assert main(['predict', sys.argv[1], 'scene:synthetic', '--map', sys.argv[2]]) == 0\n"
        "assert not {'torch', 'sklearn', 'scipy', 'matplotlib', 'onnx'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(bundle.path), str(tmp_path / "map.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"map.png", "map-confidence.png", "map-errors.png"}


def test_an_envi_cube_gets_an_envi_map_with_the_ids_and_the_place(run: pw.Run, tmp_path: Path) -> None:
    scene = synthetic()
    write_envi(tmp_path / "cube.img", scene.cube, {"map info": "{UTM, 1, 1, 500000, 4000000, 3.7, 3.7}"})
    made = predict_scene(run, tmp_path / "cube.hdr", map=tmp_path / "map.png")
    copy, fields = read_envi(tmp_path / "map.hdr")
    assert fields["map info"] == "{UTM, 1, 1, 500000, 4000000, 3.7, 3.7}"
    assert copy.shape == (*scene.shape, 1)
    assert set(np.unique(copy)) <= set(scene.ids)
    assert made.right is None
    assert [Path(file).name for file in made.files] == ["map.png", "map-confidence.png", "map.img"]
    with pytest.raises(InputError, match=r"map\.png exists already"):
        predict_scene(run, tmp_path / "cube.hdr", map=tmp_path / "map.png")


def test_a_geotiff_cube_gets_a_geotiff_map_at_the_same_place(run: pw.Run, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    cube = synthetic().cube
    place = {"crs": "EPSG:32611", "transform": rasterio.transform.from_origin(500_000, 4_000_000, 3.7, 3.7)}
    shape = {"height": cube.shape[0], "width": cube.shape[1], "count": cube.shape[2], "dtype": cube.dtype}
    with rasterio.open(tmp_path / "cube.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(cube.transpose(2, 0, 1))
    predict_scene(run, tmp_path / "cube.tif", map=tmp_path / "map.png")
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.crs.to_epsg() == 32611
        assert file.transform == place["transform"]
        assert file.read(1).max() >= 1


def test_seeds_give_mean_and_deviation_beside_the_baselines(tmp_path: Path) -> None:
    small = {**SMALL, "recipe": {"epochs": 1}}
    folder, summary = fit_seeds(
        synthetic(36, 36, classes=3), "spectral_mlp", seeds=2, out=tmp_path / "seeds", with_baselines=True, **small
    )
    assert json.loads((folder / "seeds.json").read_text()) == summary
    runs = [pw.Run(folder / f"seed-{number}").evaluation["overall_accuracy"] for number in (0, 1)]
    assert summary["scores"]["spectral_mlp"]["overall_accuracy"]["mean"] == pytest.approx(np.mean(runs))
    assert {"nearest neighbour", "RBF-SVM", "window_cnn"} <= set(summary["scores"])


# What cannot be used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 99}, "a window of 99 is larger than the scene of 72×64; --window 63 is the most"),
        ({"components": 61}, "61 components cannot be made of 60 bands; take 1 to 60"),
        ({"train": 300}, "has 237 labelled pixels, and --train 300 needs at least 301"),
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


def test_a_cube_without_labels_cannot_be_fitted(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", synthetic().cube)
    with pytest.raises(SourceError, match="cube has no label map; give one: --labels FILE"):
        fit_scene(tmp_path / "cube.npy", out=tmp_path / "run", progress=False)


def test_a_pair_of_files_is_fitted_and_found_again(tmp_path: Path) -> None:
    scene = synthetic()
    cube = scene.cube.copy()
    cube[4, 4] = np.nan
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "gt.npy", scene.targets + 5)
    options = {**SMALL["scene"], "labels": str(tmp_path / "gt.npy"), "background": 4}
    made = fit_scene(tmp_path / "cube.npy", "spectral_mlp", out=tmp_path / "run", **{**SMALL, "scene": options})
    assert made.evaluation["masked"] == 1
    assert any("1 pixels without numbers are masked" in note for note in made.record["data"]["notes"])
    assert json.loads(json.dumps(pw.evaluate(made).to_dict())) == made.evaluation
    np.save(tmp_path / "cube.npy", cube + 1)
    with pytest.raises(SourceError, match="its content has changed"):
        pw.evaluate(made)


def test_a_scene_is_not_taken_for_pictures(run: pw.Run, bundle: SceneBundle) -> None:
    with pytest.raises(InputError, match=r"was trained on a scene: predict .* CUBE --map"):
        pw.load(run)
    with pytest.raises(pw.PennyweightError, match=r"is a scene's bundle: predict .* CUBE --map"):
        pw.Bundle(bundle.path)


def test_a_run_is_scored_on_its_own_scene_alone(run: pw.Run) -> None:
    for asked in ({"source": "digits"}, {"split": "val"}):
        with pytest.raises(InputError, match=r"on the test pixels of its own scene, not on (digits|split val)"):
            pw.evaluate(run, **asked)  # type: ignore[arg-type]


def test_a_scenes_bundle_overwrites_nothing(run: pw.Run, bundle: SceneBundle) -> None:
    before = bundle.path.read_bytes()
    with pytest.raises(pw.PennyweightError, match="exists already; nothing is overwritten"):
        pw.export(run, bundle.path)
    assert bundle.path.read_bytes() == before


@pytest.mark.parametrize("option", [{"minutes": 1.0}, {"log": "tensorboard"}, {"channels": 3}])
def test_what_only_pictures_have_is_refused_not_ignored(option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(option))} is for pictures, not for a scene"):
        pw.fit("scene:synthetic", out=tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_a_run_of_pictures_makes_no_map(trained: pw.Run) -> None:
    with pytest.raises(InputError, match="was trained on pictures; a map needs a run of a scene"):
        load_mapper(trained)


def test_salinas_a_in_the_papers_split(real_scenes: Path, tmp_path: Path) -> None:
    """The quick part of it: a smaller window, few epochs."""
    scene = open_scene("scene:salinas-a")
    assert isinstance(scene, Scene)
    made = fit_scene(
        scene,
        "window_cnn",
        out=tmp_path / "run",
        scene={"train": 0.1, "window": 9},
        recipe={"epochs": 6},
        progress=False,
    )
    assert made.evaluation["overall_accuracy"] > 0.9
    with Image.open(predict_scene(made, scene, map=tmp_path / "map.png").files[0]) as picture:
        assert picture.width > 600


@pytest.mark.slow
def test_salinas_a_is_learned_from_a_tenth_of_its_pixels(real_scenes: Path, tmp_path: Path) -> None:
    made = fit_scene("scene:salinas-a", out=tmp_path / "run", scene={"train": 0.1}, progress=False)
    assert made.evaluation["overall_accuracy"] >= 0.99
    assert made.evaluation["leakage"]["share"] == 1
    # Every pixel, borders too: the convolutional form against its window by itself.
    scene, network, projection = open_scene("scene:salinas-a"), restore(made), projection_of(made)

    @torch.inference_mode()
    def one_by_one(windows: np.ndarray) -> Outputs:
        logits = network(torch.from_numpy(projection(windows)).permute(0, 3, 1, 2))
        return Outputs(logits.softmax(1).numpy(), logits.numpy())

    single = WindowsEngine(one_by_one, window=25, bands=scene.bands)
    pairs = zip(tiles(load_mapper(made).engine, scene.cube), tiles(single, scene.cube), strict=True)
    differences = [float(np.abs(a.outputs.logits - b.outputs.logits).max()) for a, b in pairs]
    assert max(differences) <= 1e-4


@pytest.mark.parametrize(
    "field", [{"erase": 0.9}, {"policy": "rand"}, {"mixup": 1}, {"balance": "sampling"}, {"shift": 0.4}]
)
def test_what_a_recipe_would_not_do_is_refused(field: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"recipe field '{next(iter(field))}'.* is for pictures"):
        fit_scene("scene:synthetic", out=tmp_path / "run", recipe=field, scene={"window": 9}, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_recipe_by_its_name_leaves_windows_in_their_place(run: pw.Run) -> None:
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


def test_the_header_of_an_envi_cube_is_not_taken_for_its_map(run: pw.Run, tmp_path: Path) -> None:
    write_envi(tmp_path / "cube.raw", synthetic().cube.astype(np.float32), {})
    before = (tmp_path / "cube.hdr").read_bytes()
    with pytest.raises(InputError, match=r"cube\.hdr exists already; nothing is overwritten"):
        predict_scene(run, tmp_path / "cube.raw", map=tmp_path / "cube.png")
    assert (tmp_path / "cube.hdr").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube.hdr", "cube.raw"]


def test_a_class_that_the_network_does_not_know_is_not_judged(run: pw.Run, tmp_path: Path) -> None:
    scene = synthetic()
    truth = np.where(scene.targets >= 0, np.array(scene.ids)[scene.targets], 0)
    truth[0, :5] = 255
    np.save(tmp_path / "gt.npy", truth)
    np.save(tmp_path / "cube.npy", scene.cube)
    files = {"source": tmp_path / "cube.npy", "labels": tmp_path / "gt.npy"}
    made = predict_scene(run, **files, map=tmp_path / "map.png")
    assert made.unknown == (255,)
    assert made.labelled == int(((truth > 0) & (truth < 255)).sum())
    np.save(tmp_path / "gt.npy", np.where(truth > 0, truth + 300, 0))
    with pytest.raises(SourceError, match="the network knows no class of the label map of cube"):
        predict_scene(run, **files, map=tmp_path / "other.png")


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

"""From a scene to a run, its score, its bundle and its maps."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import pennyweight as pw
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.core.run import write_record
from pennyweight.core.seal import seal
from pennyweight.core.spectral import Projection
from pennyweight.data.scenes.envi import read_envi, write_envi
from pennyweight.data.scenes.rasters import Raster
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import map_scene
from pennyweight.verbs.fitting.fit_seeds import fit_seeds
from pennyweight.verbs.scenes import baselines
from pennyweight.verbs.scenes.fit import fit as fit_scene
from pennyweight.verbs.scenes.load import load as load_mapper
from pennyweight.verbs.scenes.load import projection_of
from pennyweight.verbs.scenes.plan import SceneOptions, make_scene_plan, split_of
from pennyweight.verbs.scenes.predict import predict as predict_scene

MadeOnce = Callable[[str, Callable[[Path], object]], Path]
SMALL: dict[str, Any] = {"scene": {"window": 9, "train": 40}, "recipe": {"epochs": 12}, "progress": False}


@pytest.fixture(scope="session")
def run(made_once: MadeOnce) -> pw.Run:
    def fit(folder: Path) -> None:
        fit_scene("scene:synthetic", "window_cnn", out=folder / "run", **SMALL)

    return pw.Run(made_once("scene-runs", fit) / "run")


@pytest.fixture(scope="session")
def bundle(run: pw.Run, made_once: MadeOnce) -> SceneBundle:
    return SceneBundle(
        made_once("scene-bundles", lambda folder: pw.scene.export(run, folder / "scene.onnx")) / "scene.onnx"
    )


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
    first, second = (json.loads(json.dumps(pw.scene.evaluate(run).to_dict())) for _ in range(2))
    assert first == second == run.evaluation


@pytest.mark.slow
def test_one_seed_gives_one_map_bit_for_bit(run: pw.Run, tmp_path: Path) -> None:
    again = fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "run", **SMALL)
    assert again.weights_path.read_bytes() == run.weights_path.read_bytes()
    cube = synthetic().cube
    maps = [map_scene(load_mapper(made).engine, cube) for made in (run, again)]
    np.testing.assert_array_equal(maps[0].classes, maps[1].classes)
    np.testing.assert_array_equal(maps[0].confidence, maps[1].confidence)


@pytest.mark.slow
def test_a_stopped_one_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
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
    capfd.readouterr()
    fit_scene("scene:synthetic", "window_cnn", out=tmp_path / "parts", resume=True, **{**few, "progress": True})
    assert capfd.readouterr().err == f"run {tmp_path / 'parts'} is complete; nothing was changed\n"


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


@pytest.mark.slow
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
        "assert main(['scene', 'predict', sys.argv[1], 'scene:synthetic', '--map', sys.argv[2]]) == 0\n"
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
    assert made.correct is None
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


@pytest.mark.slow
def test_seeds_give_mean_and_deviation_beside_the_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = baselines.make_scene_plan
    monkeypatch.setattr(
        baselines, "make_scene_plan", lambda *args, **more: plan(*args, **{**more, "recipe": {"epochs": 1}})
    )
    small = {**SMALL, "recipe": {"epochs": 1}}
    folder = tmp_path / "seeds"
    summary = fit_seeds(synthetic(36, 36, classes=3), "spectral_mlp", seeds=2, out=folder, with_baselines=True, **small)
    assert json.loads((folder / "seeds.json").read_text()) == summary
    runs = [pw.Run(folder / f"seed-{number}").evaluation["overall_accuracy"] for number in (0, 1)]
    assert summary["scores"]["spectral_mlp"]["overall_accuracy"]["mean"] == pytest.approx(np.mean(runs))
    assert {"nearest neighbor", "RBF-SVM", "window_cnn"} <= set(summary["scores"])


# What cannot be used


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
    (tmp_path / "names.txt").write_text("".join(f"field {number}\n" for number in range(len(scene.ids))))
    options = {**SMALL["scene"], "labels": str(tmp_path / "gt.npy"), "background": 4}
    options["names"] = str(tmp_path / "names.txt")
    made = fit_scene(tmp_path / "cube.npy", "spectral_mlp", out=tmp_path / "run", **{**SMALL, "scene": options})
    assert made.evaluation["masked"] == 1
    assert any("1 pixels without numbers are masked" in note for note in made.record["data"]["notes"])
    assert json.loads(json.dumps(pw.scene.evaluate(made).to_dict())) == made.evaluation
    np.save(tmp_path / "cube.npy", cube + 1)
    with pytest.raises(SourceError, match="its content has changed"):
        pw.scene.evaluate(made)
    assert made.labels == [f"field {number}" for number in range(len(scene.ids))]


def test_a_scene_is_not_taken_for_pictures(run: pw.Run, bundle: SceneBundle) -> None:
    with pytest.raises(
        InputError, match=r"was trained on a scene; map cubes with: pennyweight scene predict .* CUBE --map"
    ):
        pw.load(run)
    with pytest.raises(
        pw.PennyweightError, match=r"is a scene's bundle; map cubes with: pennyweight scene predict .* CUBE"
    ):
        pw.Bundle(bundle.path)


def test_a_scenes_bundle_whose_weights_hold_nan_does_not_open(bundle: SceneBundle, tmp_path: Path) -> None:
    model = onnx.load(bundle.path)
    del model.metadata_props[1:]  # the seal
    weight = next(one for one in model.graph.initializer if one.name.endswith("weight"))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[-1] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "nan.onnx")
    seal(tmp_path / "nan.onnx")
    with pytest.raises(pw.PennyweightError, match=rf"nan\.onnx cannot be used: its weight '{weight.name}' holds NaN"):
        SceneBundle(tmp_path / "nan.onnx")


def test_where_the_scene_is_gone_one_is_made_and_the_reason_is_said(run: pw.Run, tmp_path: Path) -> None:
    own = pw.Run(shutil.copytree(run.folder, tmp_path / "own"))
    record = own.record
    record["data"]["address"]["cube"] = str(tmp_path / "gone.npy")
    write_record(own.record_path, record)
    notes: list[str] = []
    made = pw.scene.export(own, note=notes.append)
    assert made.manifest.parity["of"] == "a scene made for the proof"
    (line,) = notes
    assert line.startswith("the bundle is proved on a scene made for the proof, because the run's own is not at hand: ")
    assert "gone.npy" in line


def test_a_scenes_run_and_bundle_are_weighed_on_a_window(run: pw.Run, bundle: SceneBundle) -> None:
    window = run.record["scene"]["window"]
    cost, exported = (pw.weigh(str(what)) for what in (run.folder, bundle.path))
    assert cost.input_shape == (run.record["model"]["in_channels"], window, window)
    assert (exported.macs, exported.params) == (cost.macs, cost.params) > (0, 0)


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_function_on_pictures_names_the_command_on_scenes(run: pw.Run, command: str) -> None:
    with pytest.raises(InputError, match=f"was trained on a scene; .* with: pennyweight scene {command} "):
        getattr(pw, command)(run)


@pytest.mark.parametrize("function", ["evaluate", "export"])
def test_a_function_on_scenes_refuses_a_run_of_pictures(trained: pw.Run, function: str) -> None:
    with pytest.raises(InputError, match=f"was trained on pictures; .* it with: pennyweight {function} "):
        getattr(pw.scene, function)(trained.folder)


def test_a_scenes_bundle_overwrites_nothing(run: pw.Run, bundle: SceneBundle) -> None:
    before = bundle.path.read_bytes()
    with pytest.raises(pw.PennyweightError, match="exists already; nothing is overwritten"):
        pw.scene.export(run, bundle.path)
    assert bundle.path.read_bytes() == before


def test_a_run_of_pictures_makes_no_map(trained: pw.Run) -> None:
    with pytest.raises(InputError, match="was trained on pictures; a map needs a run of a scene"):
        load_mapper(trained)


def test_the_header_of_an_envi_cube_is_not_taken_for_its_map(run: pw.Run, tmp_path: Path) -> None:
    write_envi(tmp_path / "cube.raw", synthetic().cube.astype(np.float32), {})
    before = (tmp_path / "cube.hdr").read_bytes()
    with pytest.raises(InputError, match=r"cube\.hdr exists already; nothing is overwritten"):
        predict_scene(run, tmp_path / "cube.raw", map=tmp_path / "cube.png")
    assert (tmp_path / "cube.hdr").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube.hdr", "cube.raw"]


def test_a_map_has_the_scores_of_evaluate_and_says_what_was_trained_on(
    run: pw.Run, bundle: SceneBundle, tmp_path: Path
) -> None:
    scene = synthetic()
    np.save(tmp_path / "cube.npy", scene.cube)
    ids = np.zeros(scene.targets.size, np.int64)  # type: ignore[union-attr]
    split = split_of(scene, SceneOptions(window=9, train=40), 0)
    ids[split.test] = np.array(scene.ids)[scene.truth.ravel()[split.test]]
    np.save(tmp_path / "test.npy", ids.reshape(scene.shape))
    files: dict[str, Any] = {"source": tmp_path / "cube.npy", "labels": tmp_path / "test.npy"}
    made = predict_scene(run, **files, map=tmp_path / "a.png")
    scores = json.loads(json.dumps(made.to_dict()))["scores"]
    assert scores == {name: run.evaluation[name] for name in scores}
    assert (made.same_cube, made.training_pixels) == (True, 0)
    assert made.training_note == "none of the labeled pixels was trained on"
    made = predict_scene(run, "scene:synthetic", map=tmp_path / "b.png")
    assert made.training_note == f"{len(split.share):,} of the labeled pixels were trained on"
    made = predict_scene(bundle, **files, map=tmp_path / "c.png")
    assert (made.same_cube, made.training_pixels) == (True, None)
    assert made.training_note.endswith("training pixels may be among the labeled ones")
    np.save(tmp_path / "cube.npy", scene.cube + 1)
    made = predict_scene(bundle, **files, map=tmp_path / "d.png")
    assert (made.training_pixels, made.training_note) == (0, "the network was trained on another cube")


def test_a_class_that_the_network_does_not_know_is_not_judged(run: pw.Run, tmp_path: Path) -> None:
    scene = synthetic()
    truth = np.where(scene.targets >= 0, np.array(scene.ids)[scene.targets], 0)
    truth[0, :5] = 255
    np.save(tmp_path / "gt.npy", truth)
    np.save(tmp_path / "cube.npy", scene.cube)
    files = {"source": tmp_path / "cube.npy", "labels": tmp_path / "gt.npy"}
    made = predict_scene(run, **files, map=tmp_path / "map.png")
    assert made.unknown == (255,)
    assert made.labeled == int(((truth > 0) & (truth < 255)).sum())
    np.save(tmp_path / "gt.npy", np.where(truth > 0, truth + 300, 0))
    with pytest.raises(SourceError, match="the network knows no class of the label map of cube"):
        predict_scene(run, **files, map=tmp_path / "other.png")

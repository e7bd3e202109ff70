"""The commands on scenes: what they print, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pennyweight.cli import main


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    ids = np.kron(np.random.default_rng(0).integers(1, 4, (6, 6)), np.ones((12, 12), np.int64))
    np.save(tmp_path / "fields.npy", ids)
    return tmp_path / "fields.npy"


@pytest.mark.parametrize(("split", "share"), [("random", 1.0), ("blocks", 0.0)])
def test_leakage_of_a_label_map(fields: Path, split: str, share: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scene", "leakage", str(fields), "--window", "9", "--split", split, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["leakage"]["share"] == pytest.approx(share, abs=0.01)
    assert main(["scene", "leakage", str(fields), "--window", "9", "--split", split]) == 0
    assert "test windows of 9×9 hold training pixels" in capsys.readouterr().out


def test_leakage_of_a_named_scene(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scene", "leakage", "scene:synthetic", "--window", "9", "--split", "blocks"]) == 0
    assert "leakage: 0.0% of" in capsys.readouterr().out


@pytest.mark.slow
def test_a_scene_is_fitted_scored_exported_and_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    options = ["--model", "spectral_mlp", "--window", "5", "--train", "20", "--epochs", "2", "--split", "blocks"]
    assert main(["scene", "fit", "scene:synthetic", *options, "--out", run, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.count("typicality is not kept: the validation windows overlap those of training") == 1
    scored = json.loads(out)["evaluation"]
    assert scored["leakage"]["share"] == 0
    assert main(["scene", "evaluate", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == scored
    assert main(["scene", "evaluate", run]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].endswith("test pixels")  # whole, though wider than the table
    assert "leakage: 0.0% of" in shown
    assert main(["scene", "export", run]) == 0
    assert "same answers" in capsys.readouterr().out
    assert (
        main(["scene", "predict", f"{run}/model.onnx", "scene:synthetic", "--map", str(tmp_path / "m.png"), "--json"])
        == 0
    )
    made = json.loads(capsys.readouterr().out)
    assert sum(made["pixels"].values()) == 72 * 64
    assert made["correct"] <= made["labeled"]
    for command, rest in (("evaluate", run), ("export", run), ("predict", f"{run} CUBE --map map.png")):
        assert main([command, run, *(["picture.png"] if command == "predict" else [])]) == 1
        assert capsys.readouterr().err.strip().endswith(f"with: pennyweight scene {command} {rest}")
    assert main(["predict", f"{run}/model.onnx", "picture.png"]) == 1
    assert f"pennyweight scene predict {run}/model.onnx CUBE --map map.png" in capsys.readouterr().err


def test_scenes_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scene", "names", "s*"]) == 0
    assert capsys.readouterr().out.split() == ["scene:salinas", "scene:salinas-a", "scene:synthetic"]
    assert main(["scene", "names", "scene:salinas", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"scenes": ["scene:salinas"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fit", "scene:indian-pines"],
            "scene:indian-pines is a scene; train on it with: pennyweight scene fit scene:indian-pines",
        ),
        (
            ["fit", "scene:synthetic", "--window", "9", "--model", "window_cnn"],
            "train on it with: pennyweight scene fit scene:synthetic --window 9 --model window_cnn",
        ),
        (["fit", "a cube.mat"], "train on it with: pennyweight scene fit 'a cube.mat' --labels MAP"),
        (["fit", "cube.mat", "--epochs", "2"], "with: pennyweight scene fit cube.mat --epochs 2 --labels MAP"),
        (
            ["fit", "digits", "--window=9", "--epochs", "3"],
            "--window is for scenes, and digits is none; leave it out: pennyweight fit digits --epochs 3",
        ),
        (
            ["predict", "run", "photo.jpg", "--map", "m.png"],
            "--map is for scenes, and photo.jpg is none; leave it out: pennyweight predict run photo.jpg",
        ),
        (
            ["fit", "scene:salinas", "--labels", "x.npy"],
            "scene:salinas is a scene with its own label map; train on it with: pennyweight scene fit scene:salinas",
        ),
        (
            ["fit", "--mode", "head", "--minutes=3", "scene:salinas", "--epochs", "1", "--json"],
            "scene:salinas is a scene, and --mode and --minutes are for pictures; train on it with: "
            "pennyweight scene fit scene:salinas --epochs 1 --json",
        ),
        (["predict", "scene:salinas"], "map it with: pennyweight scene predict RUN scene:salinas --map map.png"),
        (
            ["evaluate", "run", "--bfloat16"],
            "score a run of it with: pennyweight scene evaluate run --bfloat16",
        ),
        (["fit", "cube.mat", "--labels", "map.mat"], "with: pennyweight scene fit cube.mat --labels map.mat"),
        (
            ["predict", "run", "scene:synthetic"],
            "scene:synthetic is a scene; map it with: pennyweight scene predict run scene:synthetic --map map.png",
        ),
        (
            ["predict", "run", "cube.npy", "--map", "m.png"],
            "--map is for scenes; map it with: pennyweight scene predict run cube.npy --map m.png",
        ),
        (
            ["leakage", "gt.mat", "--split", "blocks"],
            "leakage is a command on scenes: pennyweight scene leakage gt.mat --split blocks",
        ),
        (["fit", "SCENE:salinas"], "scene:salinas is a scene; train on it with: pennyweight scene fit scene:salinas"),
        (["evaluate", "run", "scene:salinas"], "score a run of it with: pennyweight scene evaluate run"),
        (["doctor", "scene:salinas"], "leakage of its split with: pennyweight scene leakage scene:salinas"),
        (
            ["scene", "fit", "digits"],
            "digits is no scene: a scene is scene:NAME (`pennyweight scene names` lists them), or a cube's file with "
            "its label map; train on pictures with: pennyweight fit digits, or pw.fit",
        ),
        (["scene", "fit", "my pets"], "there is no scene 'my pets'; a scene is scene:NAME"),
        (["scene", "fit", "salinas"], "there is no scene 'salinas'; did you mean 'scene:salinas'?"),
        (["scene", "fit", "scene:synthetic", "--background", "3"], "--background go with a cube's file"),
        (["scene", "fit", "scene:synthetic", "--set", "mode=head"], "mode head starts from weights, and a scene's"),
        (["scene", "fit", "scene:synthetic", "--window", "99"], "a window of 99 is larger than the scene"),
        (["scene", "fit", "scene:nowhere"], "no scene 'nowhere'; there are indian-pines"),
        (["scene", "predict", "nothing", "scene:synthetic", "--map", "m.png"], "no run or bundle at nothing"),
        (["scene", "evaluate", "nothing"], "no run or bundle at nothing"),
        (["scene", "export", "nothing"], "no run or bundle at nothing"),
        (["scene", "names", "nowhere"], "no scene matches 'nowhere'; `pennyweight scene names` lists them all"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []

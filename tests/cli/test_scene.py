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
    assert main(["leakage", str(fields), "--window", "9", "--split", split, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["leakage"]["share"] == pytest.approx(share, abs=0.01)
    assert main(["leakage", str(fields), "--window", "9", "--split", split]) == 0
    assert "test windows of 9×9 hold training pixels" in capsys.readouterr().out


def test_leakage_of_a_named_scene(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leakage", "scene:synthetic", "--window", "9", "--split", "blocks"]) == 0
    assert "leakage: 0.0% of" in capsys.readouterr().out


def test_a_scene_is_fitted_scored_exported_and_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    options = ["--model", "spectral_mlp", "--window", "5", "--train", "20", "--epochs", "2", "--split", "blocks"]
    assert main(["fit", "scene:synthetic", *options, "--out", run, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)["evaluation"]
    assert scored["leakage"]["share"] == 0
    assert main(["evaluate", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == scored
    assert main(["evaluate", run]) == 0
    assert "leakage: 0.0% of" in capsys.readouterr().out
    assert main(["export", run]) == 0
    assert "same answers" in capsys.readouterr().out
    assert main(["predict", f"{run}/model.onnx", "scene:synthetic", "--map", str(tmp_path / "m.png"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert sum(made["pixels"].values()) == 72 * 64
    assert made["right"] <= made["labelled"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "scene:synthetic", "--input", "32"], "--input is for pictures, not for a scene"),
        (["fit", "scene:synthetic", "--minutes", "5"], "--minutes is for pictures, not for a scene"),
        (["fit", "scene:synthetic", "--set", "mode=head"], "mode head starts from weights, and a scene's network has"),
        (
            ["predict", "run", "cube.npy", "--map", "m.png", "--weights", "w"],
            "--weights is for pictures, not for a scene",
        ),
        (["fit", "scene:synthetic", "--preflight"], "--preflight is for pictures, not for a scene"),
        (["fit", "digits", "--split", "blocks"], "--split is for a scene; digits is none"),
        (["fit", "digits", "--window", "9"], "--window is for a scene; digits is none"),
        (["fit", "digits", "--labels", "map.npy"], "--labels is for a scene; digits is none"),
        (["fit", "digits", "--baselines"], "--baselines is for a scene; digits is none"),
        (["fit", "scene:synthetic", "--window", "99"], "a window of 99 is larger than the scene"),
        (["fit", "scene:nowhere"], "no scene 'nowhere'; there are indian-pines"),
        (["predict", "nothing", "scene:synthetic", "--map", "m.png"], "no run or bundle at nothing"),
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

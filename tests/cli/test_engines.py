"""Commands execute a bundle with the engine that they are given, and refuse one that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def red(tmp_path: Path) -> str:
    Image.new("RGB", (40, 30), (250, 10, 10)).save(tmp_path / "red.png")
    return str(tmp_path / "red.png")


@pytest.mark.parametrize("engine", ["openvino", "fastest"])
def test_predict_takes_an_engine(pennyweight: Run, bundle_file: Path, red: str, engine: str) -> None:
    asked = ("predict", bundle_file, red, "--json")
    usual = json.loads(pennyweight(*asked).out)["predictions"][0]
    outcome = pennyweight(*asked, "--engine", engine, "--threads", "1")
    (prediction,) = json.loads(outcome.out)["predictions"]
    assert prediction["label"] == usual["label"]
    assert prediction["probability"] == pytest.approx(usual["probability"], abs=1e-4)
    assert ("note: engine " in outcome.err) == (engine == "fastest")


def test_evaluate_and_parts_take_an_engine(
    pennyweight: Run, bundle_file: Path, red: str, tmp_path: Path, draw_folder: Callable[..., Path]
) -> None:
    asked = ("predict", bundle_file, red, "--parts", tmp_path / "parts")
    assert pennyweight(*asked, "--engine", "openvino").status == 0
    assert pennyweight(*asked).status == 0  # the same network in the same precision
    labels = json.loads(pennyweight("bundle", bundle_file, "--json").out)["labels"]
    pictures = draw_folder(dict.fromkeys(labels, 2))
    scores = [
        json.loads(pennyweight("evaluate", bundle_file, pictures, "--json", *more).out)["confusion"]
        for more in ((), ("--engine", "openvino"))
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--engine", "opnvino"), "unknown engine 'opnvino'; did you mean 'openvino'?"),
        (("--engine", "torch"), "torch executes runs and names"),
        (("--threads", "0"), "--threads"),
        (("--precision", "bf16"), "onnxruntime does not compute in bfloat16"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_an_engine_that_cannot_execute_it_is_refused(
    pennyweight: Run, bundle_file: Path, red: str, command: str, more: tuple[str, str], line: str
) -> None:
    outcome = pennyweight(command, bundle_file, red, *more)
    assert outcome.status in (1, 2)
    assert (outcome.out, outcome.err.count("\n")) == ("", 1)
    assert line in outcome.err

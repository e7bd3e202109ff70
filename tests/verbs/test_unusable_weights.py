"""Weights that no network can answer with are refused wherever weights are used, and leave nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

import pennyweight as pw
from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.verbs.answered_source import answer

NAME = "mobilenet_v1_x0_25"


def damaged(path: Path) -> None:
    """One NaN in a file of weights."""
    state = load_file(path)
    state["stem.0.weight"][0, 0, 0, 0] = torch.nan
    save_file(state, path)


@pytest.fixture
def nan_file(tmp_path: Path) -> Path:
    state = pw.create(NAME, num_classes=3).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    damaged(tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def uses(nan_file: Path, shapes: Path, out: Path) -> list[Callable[[], object]]:
    return [
        lambda: pw.load(NAME, weights=nan_file),
        lambda: pw.create(NAME, num_classes=3, weights=nan_file),
        lambda: pw.evaluate(NAME, str(shapes), weights=nan_file),
        lambda: pw.export(NAME, out, weights=nan_file),
        lambda: pw.fit(shapes, NAME, weights=nan_file, out=out, progress=False),
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_file_with_nan_is_refused(number: int, nan_file: Path, shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"w\.safetensors cannot be used: 'stem\.0\.weight' holds NaN"):
        uses(nan_file, shapes, tmp_path / "out")[number]()
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_run_whose_weights_hold_nan_is_refused(trained: pw.Run, tmp_path: Path) -> None:
    run = pw.Run(shutil.copytree(trained.folder, tmp_path / "own"))
    damaged(run.weights_path)
    for use in (pw.load, pw.evaluate, lambda run: pw.export(run, tmp_path / "out.onnx")):
        with pytest.raises(PennyweightError, match=r"weights\.safetensors"):
            use(run)
    assert not (tmp_path / "out.onnx").exists()


def test_answers_of_nan_make_no_score() -> None:
    batch = SimpleNamespace(pixels=np.zeros((2, 4, 4, 3), np.uint8), targets=[0, 1])
    pictures: Any = SimpleNamespace(in_order=lambda size: [batch])

    def engine(pixels: NDArray[np.uint8]) -> Any:
        return SimpleNamespace(probabilities=np.full((len(pixels), 2), np.nan, np.float32))

    with pytest.raises(PennyweightError, match="the network answers with NaN in place of numbers"):
        answer(pw.Classifier(engine, ("a", "b"), pw.Preprocess(size=4, resize=4)), pictures)

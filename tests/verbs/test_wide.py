"""16-bit pictures that use the low bits: read alike from training to the bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.preprocess import Preprocess
from pennyweight.train.distillation import make_teacher
from pennyweight.verbs.load import preprocess_of
from pennyweight.zoo.weights.checkpoint import open_file


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes or none, in 375 of 65,536 levels."""
    root, draw = tmp_path_factory.mktemp("sources") / "low", np.random.default_rng(1)
    stripes = np.indices((24, 24)).sum(0) // 6 % 2
    for label, depth in (("plain", 0.0), ("stripes", 0.15)):
        (root / label).mkdir(parents=True)
        for number in range(24):
            pixels = np.roll(stripes, number, 0) * depth + 0.1 + draw.random((24, 24)) * 0.1
            Image.fromarray((pixels * 1500).astype(np.uint16)).save(root / label / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def run(
    one_thread: None, low: Path, fit_small: Callable[..., pw.Run], tmp_path_factory: pytest.TempPathFactory
) -> pw.Run:
    return fit_small(low, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.slow
def test_everyone_sees_the_same_levels(run: pw.Run, low: Path) -> None:
    preprocess = preprocess_of(run)
    ((black, white),) = preprocess.levels
    assert 140 <= black <= 155
    assert 500 <= white <= 525
    path = sorted(low.rglob("*.png"))[-1]
    pixels = preprocess(path)
    assert len(np.unique(pixels)) > 50
    bundle = pw.export(run)
    assert bundle.manifest.preprocess == preprocess
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pictures"] > 0
    assert open_file(run.weights_path).preprocess == preprocess
    array = np.asarray(Image.open(path))
    for picture in (path.read_bytes(), array, Image.open(path)):
        assert np.array_equal(pw.load(bundle.path).preprocess(picture), pixels)
    paths = sorted(low.rglob("*.png"))
    assert [p.label for p in pw.load(bundle.path).predict(paths)] == [p.label for p in pw.load(run).predict(paths)]


def test_brighter_pictures_are_clipped(run: pw.Run) -> None:
    found = preprocess_of(run)(np.array([[0, 60000]] * 2, np.uint16).repeat(12, 0).repeat(12, 1))
    assert (found.min(), found.max()) == (0, 255)


def test_a_run_made_before_there_were_levels_means_the_upper_byte(run: pw.Run, low: Path) -> None:
    older = {name: value for name, value in run.record["preprocess"].items() if name != "levels"}
    assert Preprocess.from_dict(older)(sorted(low.rglob("*.png"))[0]).max() <= 1


def test_weights_of_a_run_keep_their_levels(
    run: pw.Run, low: Path, tmp_path: Path, fit_small: Callable[..., pw.Run]
) -> None:
    brighter = tmp_path / "brighter"
    for path in low.rglob("*.png"):
        target = brighter / path.relative_to(low)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(Image.open(path)) + np.uint16(9)).save(target)
    again = fit_small(brighter, out=tmp_path / "again", weights=run.folder, input_size=None)
    assert preprocess_of(again).levels == preprocess_of(run).levels


def test_a_teacher_of_another_range_sees_its_own_brightness() -> None:
    ours = Preprocess.for_input(8, channels=1)
    values = torch.tensor([100, 350, 600], dtype=torch.float32).view(1, 1, 1, 3)
    mine, theirs = replace(ours, levels=((100, 600),)), replace(ours, levels=((0, 1000),))
    seen: list[torch.Tensor] = []

    class Teacher(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x.new_zeros(len(x), 2)

    teacher = make_teacher(Teacher(), theirs=theirs, ours=mine, order=[0, 1], device=torch.device("cpu"))

    def normal(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels - ours.mean[0]) / ours.std[0]

    teacher(normal((values - 100) / 500))
    assert torch.allclose(seen[0], normal(values / 1000), atol=1e-6)


def test_evaluate_reads_by_the_levels_of_the_run(run: pw.Run, low: Path) -> None:
    assert data.open(low).wide == 48
    assert pw.evaluate(run, str(low)).to_dict() == pw.evaluate(run).to_dict()

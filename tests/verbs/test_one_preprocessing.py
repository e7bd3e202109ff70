"""Whoever looks at a picture sees the same bytes: validation, evaluate, predict, the bundle and the torch network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core import jpeg
from pennyweight.nn import FromPixels
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.verbs.load import preprocess_of


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The arrays that networks and bundles are given, as they come."""
    arrays: list[np.ndarray] = []
    forward, call = FromPixels.forward, OnnxEngine._run

    def from_pixels(self: FromPixels, pixels: Any) -> Any:
        arrays.append(pixels.numpy().copy())
        return forward(self, pixels)

    def engine(self: OnnxEngine, pixels: np.ndarray, names: Any) -> Any:
        arrays.append(pixels.copy())
        return call(self, pixels, names)

    monkeypatch.setattr(FromPixels, "forward", from_pixels)
    monkeypatch.setattr(OnnxEngine, "_run", engine)
    return arrays


def photographs(files: list[Path], root: Path, count: int) -> Path:
    """A folder with `count` photographs in val; every fifth is four times as large, to be decoded at a scale."""
    for number, file in enumerate(files[: count + 60]):
        part = "val" if number < count else ("train", "train", "test")[number % 3]
        target = root / part / file.parent.name
        target.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            if number % 5 == 0:
                large = image.convert("RGB").resize((4 * image.width, 4 * image.height))
                exif = Image.Exif()
                exif[0x0112] = 1 + number % 8
                large.save(target / f"{number:03d}.jpg", exif=exif)
            else:
                (target / f"{number:03d}.jpg").write_bytes(file.read_bytes())
    return root


def check(
    root: Path, tmp_path: Path, fit_small: Callable[..., pw.Run], seen: list[np.ndarray], count: int, size: int
) -> None:
    run = fit_small(root, out=tmp_path / "run", input_size=size, recipe={"epochs": 1, "batch": 32})
    preprocess = preprocess_of(run)
    assert preprocess.decoding == "draft"
    samples = data.split(data.open(root)).val
    assert len(samples) == count
    expected = np.stack([preprocess(sample.picture) for sample in samples])
    # Validation is what comes between the epoch's training and the test split: find it by its first picture.
    given = np.concatenate(seen)
    (start,) = [at for at in range(len(given)) if np.array_equal(given[at], expected[0])][:1]
    assert np.array_equal(given[start : start + count], expected)

    bundle = pw.export(run)
    alone = tmp_path / "alone"
    (root / "val").rename(alone)
    source = data.open(alone)
    paths = [sample.picture for sample in source.samples]
    expected = np.stack([preprocess(path) for path in paths])
    for evaluated in (run, bundle):
        seen.clear()
        pw.evaluate(evaluated, source, split="val")  # the run was selected on them
        assert np.array_equal(np.concatenate(seen), expected)
    probabilities = pw.load(run).probabilities(expected)
    for predicted, pictures in (
        (run, paths),
        (bundle.path, paths),
        (bundle.path, [path.read_bytes() for path in paths]),
    ):
        seen.clear()
        predictions = pw.load(predicted).predict(pictures)
        # Several batches are computed at once, in any order; the predictions come in the order of the pictures.
        assert sorted(map(bytes, np.concatenate(seen))) == sorted(map(bytes, expected))
        found = [prediction.probability for prediction in predictions]
        assert np.allclose(found, probabilities.max(axis=1), atol=1e-4)


def drawn(root: Path, noise: Callable[..., np.ndarray], count: int) -> list[Path]:
    files = []
    for number in range(count):
        path = root / ("cats", "dogs")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(40 + number % 7, 50 + number % 11, seed=number)).save(path)
        files.append(path)
    return files


@pytest.mark.slow
@pytest.mark.parametrize(
    "quick",
    [pytest.param(True, marks=pytest.mark.slow, id="with simplejpeg"), pytest.param(False, id="with Pillow alone")],
)
def test_all_see_the_same_bytes(
    tmp_path: Path,
    noise: Callable[..., np.ndarray],
    fit_small: Callable[..., pw.Run],
    seen: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    quick: bool,
) -> None:
    if not quick:
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    root = photographs(drawn(tmp_path / "drawn", noise, 80), tmp_path / "photos", 20)
    check(root, tmp_path, fit_small, seen, 20, 32)


@pytest.mark.slow
def test_all_see_the_same_bytes_of_300_photographs(
    tmp_path: Path, real_data: Path, fit_small: Callable[..., pw.Run], seen: list[np.ndarray]
) -> None:
    files = sorted((real_data / "cats-dogs").rglob("*.jpg"))[::-1]
    mixed = [file for pair in zip(files[:225], files[-225:], strict=True) for file in pair]
    check(photographs(mixed, tmp_path / "photos", 300), tmp_path, fit_small, seen, 300, 96)

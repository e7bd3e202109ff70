"""Twins in shards and in data sets of Hugging Face: `doctor` finds them, and `fit` keeps them together or says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data

SCENES, FRAMES = 20, 3
Fit = Callable[..., pw.Run]


@pytest.fixture
def bursts(tmp_path: Path, noise: Callable[..., Any]) -> Path:
    """A folder of scenes in two classes; the frames of each scene are shifted by a pixel or two."""
    for scene in range(SCENES):
        folder = tmp_path / "bursts" / "ab"[scene % 2]
        folder.mkdir(parents=True, exist_ok=True)
        whole = Image.fromarray(noise(72, 72, seed=scene))
        for frame in range(FRAMES):
            whole.crop((frame, 2 * frame, frame + 64, 2 * frame + 64)).save(folder / f"{scene:02d}-{frame}.png")
    return tmp_path / "bursts"


def of_hugging_face(folder: Path) -> Any:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    files = sorted(folder.rglob("*.png"))
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    columns = {"image": list(map(str, files)), "label": [path.parent.name for path in files]}
    return datasets.Dataset.from_dict(columns, features=features)


def test_doctor_finds_twins_in_shards_and_fit_says_that_it_does_not(
    bursts: Path, tmp_path: Path, fit_small: Fit
) -> None:
    pw.pack(bursts, tmp_path / "shards", shard_size="150KB")
    found = pw.doctor(tmp_path / "shards")
    clusters = [each.pictures for kind in ("twins", "twins, two splits") for each in found.of(kind)]
    assert sorted(map(len, clusters)) == [FRAMES] * SCENES
    assert found.of("twins, two splits")
    run = fit_small(tmp_path / "shards", out=tmp_path / "run", preflight=False)
    assert any("not looked for in shards: doctor finds them" in line for line in run.record["data"]["notes"])
    assert run.evaluation["without_twins"] is run.evaluation["effective_images"] is None
    assert "Pictures that show the same moment were not looked for" in run.report_path.read_text()


def test_twins_of_a_data_set_of_hugging_face_stay_in_one_split(bursts: Path, tmp_path: Path, fit_small: Fit) -> None:
    run = fit_small(of_hugging_face(bursts), out=tmp_path / "run", preflight=False)
    stays = f"{SCENES * FRAMES} pictures in {SCENES} clusters of the same moment stay together in a split"
    assert stays in run.record["data"]["notes"]
    assert all(count % FRAMES == 0 for count in run.record["data"]["counts"].values())
    assert run.evaluation["effective_images"] == run.evaluation["images"] / FRAMES


def test_splits_of_hugging_face_are_scored_with_and_without_twins(bursts: Path, tmp_path: Path, fit_small: Fit) -> None:
    whole = of_hugging_face(bursts)
    names = [sample.name for sample in data.open(bursts).samples]
    test = [number for number, name in enumerate(names) if name.endswith("-2.png") or name.startswith(("a/00", "b/01"))]
    parts = {"train": whole.select(sorted({*range(len(names))} - {*test})), "test": whole.select(test)}
    run = fit_small(parts, out=tmp_path / "run", preflight=False)
    assert run.evaluation["images"] == SCENES + 2 * (FRAMES - 1)
    assert run.evaluation["without_twins"]["images"] == 2 * FRAMES
    scored = pw.evaluate(run, parts)
    assert scored.without_twins is not None
    assert scored.without_twins.images == 2 * FRAMES

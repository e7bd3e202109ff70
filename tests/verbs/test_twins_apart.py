"""`fit` keeps pictures of the same moment in one split; scores are given with and without twins in training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.accuracy_line import accuracy_line
from pennyweight.core.errors import InputError
from pennyweight.core.run import write_record
from pennyweight.data.checks.shortcuts import shortcuts
from pennyweight.data.intervals import exact
from pennyweight.verbs.scored_source import origin_of
from pennyweight.verbs.twins_in_training import find_twins_in_training

SCENES, FRAMES = 24, 4


def frame_of(scene: int, frame: int) -> Image.Image:
    """The next frame of a scene is shifted by a pixel or two, and brighter or darker."""
    drawn = Image.fromarray(np.random.default_rng(scene).integers(0, 256, (14, 14, 3), dtype=np.uint8))
    whole = np.asarray(drawn.resize((72, 72), Image.Resampling.BICUBIC)).astype(np.float32)
    shifted = whole[frame : frame + 64, 2 * (frame % 2) : 2 * (frame % 2) + 64]
    return Image.fromarray((shifted * (0.9 + 0.05 * frame)).clip(0, 255).astype(np.uint8))


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """Frames of scenes, whose labels are drawn at random."""
    rng = np.random.default_rng(3)
    for scene in range(SCENES):
        folder = tmp_path / "bursts" / ("open", "closed")[rng.integers(2)]
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            frame_of(scene, frame).save(folder / f"{scene:02d}-{frame}.png")
    return tmp_path / "bursts"


def fit(source: Path, out: Path, **options: Any) -> pw.Run:
    return pw.fit(
        source,
        "mobilenet_v1_x0_25",
        out=out,
        input_size=16,
        config={"stages": [[32, 1, 1], [64, 1, 2]]},
        recipe={"epochs": 1, "batch": 32},
        progress=False,
        **options,
    )


def test_frames_of_a_scene_stay_in_one_split(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run")
    source = data.open(bursts)
    parts = data.split_by_rule(source, data.find_twins(data.glance_at(source).gray), "group")
    scenes = [{sample.name.split("/")[-1][:2] for sample in parts[name]} for name in data.SPLITS]
    assert sum(map(len, scenes)) == SCENES
    assert run.evaluation["images"] == len(parts.test)
    assert run.evaluation["without_twins"]["images"] == len(parts.test)
    assert run.evaluation["moments"] == len(scenes[2])
    low, high = run.evaluation["accuracy_interval"]
    assert (low, high) == pytest.approx(exact(run.evaluation["accuracy"] * len(scenes[2]), len(scenes[2])))
    assert run.evaluation["effective_images"] == pytest.approx(len(scenes[2]))
    assert f"twins counted as one: about {len(scenes[2])} independent pictures" in run.report_path.read_text()
    assert f"twins counted as one: about {len(scenes[2])} independent pictures" in str(pw.evaluate(run))
    assert f"twins counted as one: about {len(scenes[2])} independent pictures" in accuracy_line(run.evaluation)
    assert "96 pictures in 24 clusters of the same moment stay together in a split" in run.record["data"]["notes"]
    assert run.record["data"]["twins"] == "group"
    assert json.loads(json.dumps(pw.evaluate(run).to_dict())) == run.evaluation
    assert "No test picture has a twin" in run.report_path.read_text()


def test_the_intervals_of_trivial_classifiers_count_scenes(
    bursts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_trees: None
) -> None:
    for module in ("data.checks.doctor", "verbs.fitting.leaks"):
        monkeypatch.setattr(f"pennyweight.{module}.shortcuts", shortcuts)
    run = fit(bursts, tmp_path / "run", preflight=False)
    scored = run.record["data"]["counts"]["val"] + run.evaluation["images"]  # too few test pictures to score alone
    for each in run.record["shortcuts"]:
        assert (each["count"], each["effective_images"]) == (scored, pytest.approx(scored / FRAMES))
    assert [one.to_dict() for one in pw.doctor(bursts).shortcuts] == run.record["shortcuts"] != []


def test_twins_that_are_split_are_scored_apart(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run", twins="keep")
    rest = run.evaluation["without_twins"]
    assert rest["images"] < run.evaluation["images"]
    scored = pw.evaluate(run)
    assert scored.images == run.evaluation["images"]
    assert scored.without_twins is not None
    assert scored.without_twins.images == rest["images"]
    assert "a twin in training or validation" in accuracy_line(run.evaluation)
    assert "Twins in two splits" in run.report_path.read_text()


def test_frames_of_another_folder_count_as_one(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run")
    other = tmp_path / "other"
    for scene in (100, 101, 102):
        folder = other / ("open", "closed")[scene % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            frame_of(scene, frame).save(folder / f"{scene}-{frame}.png")
    scored = pw.evaluate(run, other)
    assert (scored.images, scored.moments) == (3 * FRAMES, 3)
    assert scored.accuracy_interval == pytest.approx(exact(3 * scored.accuracy, 3))


def test_every_frame_of_a_recording_that_is_half_in_training_has_a_twin(tmp_path: Path) -> None:
    """The source has splits of its own; each frame is a direct twin of the next few alone."""
    for scene in range(12):
        drawn = Image.fromarray(np.random.default_rng(scene).integers(0, 256, (14, 40, 3), dtype=np.uint8))
        wide = drawn.resize((186, 64), Image.Resampling.BICUBIC)
        for frame in range(12 if scene < 2 else 1):
            part = "train" if frame == 0 and scene < 10 else "test"
            folder = tmp_path / "set" / part / "ab"[scene % 2]
            folder.mkdir(parents=True, exist_ok=True)
            wide.crop((5 * frame, 0, 5 * frame + 64, 64)).save(folder / f"{scene:02d}-{frame:02d}.png")
    run = fit(tmp_path / "set", tmp_path / "run", preflight=False)
    assert run.evaluation["images"] == 24
    assert run.evaluation["without_twins"]["images"] == 2
    assert "of the 2 without a twin in training or validation" in accuracy_line(run.evaluation)
    assert "22 of the 24 test pictures have a twin" in run.report_path.read_text()


def test_twins_that_cannot_be_told_are_said(tmp_path: Path) -> None:
    """Digits resemble too many others."""
    run = fit("digits", tmp_path / "run", preflight=False)
    unknown = run.evaluation["unknown_twins"]
    assert 0 < unknown <= run.evaluation["without_twins"]["images"]
    page = run.report_path.read_text()
    assert "No test picture has a twin" not in page
    assert f"It could not be told for {unknown} of the {run.evaluation['images']}" in page
    source, lines = data.open("digits"), []
    few = tuple(source.samples[:12])
    found = find_twins_in_training(
        few, replace(source, samples=few, address="few"), origin_of(run), run.training_digests, None, max_pixels=None,
        note=lines.append,
    )  # fmt: skip
    assert found is not None
    assert f"twins in training of {found.unknown.sum()} of 12 pictures of digits cannot be told" in lines[0]
    assert found.unknown.sum() > 3


@pytest.fixture
def saved_again(tmp_path: Path) -> tuple[Path, Path]:
    """Forty pictures, and the same at a smaller size and a lower quality among thirty others."""
    for number in range(70):
        picture = frame_of(200 + number, 0)
        for name, size, quality in (("first", 64, 95), ("again", 48, 60))[number >= 40 :]:
            folder = tmp_path / name / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            picture.resize((size, size)).save(folder / f"{number:02d}.jpg", quality=quality)
    return tmp_path / "first", tmp_path / "again"


@pytest.mark.parametrize("way", ["weights", "teacher"])
def test_twins_of_the_pictures_of_the_first_weights_are_left_out_of_test(
    saved_again: tuple[Path, Path], tmp_path: Path, way: str
) -> None:
    first, again = saved_again
    before = fit(first, tmp_path / "before", preflight=False)
    learned = {path.stem for path in trained_files(before, first)}
    run = fit(again, tmp_path / "run", preflight=False, **{way: before.folder})
    source = data.open(again)
    glances = data.glance_at(source)
    assert glances is not None
    test = data.split_by_rule(source, data.twins_among(glances), "group").test
    unseen = [sample for sample in test if Path(sample.name).stem not in learned]
    assert 0 < len(unseen) < len(test)
    assert run.evaluation["images"] == run.record["data"]["counts"]["test"] == len(unseen)
    notes = [line for line in run.record["data"]["notes"] if "left out of test" in line]
    reason = f"{before.folder} trained on twins, pictures of the same moment"
    assert [line.split(": ", 1)[1] for line in notes] == [reason]
    assert [each["reason"] for each in run.record["data"]["left_out"]] == [reason] * (len(test) - len(unseen))
    if way == "weights":
        assert json.loads(json.dumps(pw.evaluate(run).to_dict())) == run.evaluation
        same = fit(first, tmp_path / "same", preflight=False, weights=before.folder)
        assert same.evaluation["images"] == before.evaluation["images"]
        assert not [line for line in same.record["data"]["notes"] if "left out" in line]


def test_twins_of_pictures_that_are_gone_are_said_not_to_be_looked_for(
    saved_again: tuple[Path, Path], tmp_path: Path
) -> None:
    first, again = saved_again
    before = fit(first, tmp_path / "before", preflight=False)
    first.rename(tmp_path / "elsewhere")
    run = fit(again, tmp_path / "run", preflight=False, weights=before.folder)
    (line,) = (each for each in run.record["data"]["notes"] if "not looked for" in each)
    assert line.startswith(f"{before.folder}: twins of the training pictures are not looked for")


@pytest.mark.slow
def test_a_bundle_keeps_the_score_without_twins(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run", twins="keep")
    bundle = pw.export(run)
    assert bundle.manifest.evaluation is not None
    assert bundle.manifest.evaluation["without_twins"]["images"] == run.evaluation["without_twins"]["images"]
    assert accuracy_line(bundle.manifest.evaluation) == accuracy_line(run.evaluation)


def test_one_picture_of_each_scene_is_left(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run", twins="drop")
    assert sum(run.record["data"]["counts"].values()) == SCENES
    left_out = {each["name"] for each in run.record["data"]["left_out"]}
    assert len(left_out) == SCENES * (FRAMES - 1)


@pytest.mark.slow
def test_another_folder_knows_the_twins_of_training(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run")
    other, learned = tmp_path / "other", {path.stem[:2] for path in trained_files(run, bursts)}
    for scene in range(SCENES + 8):  # later frames of the same scenes, and eight other scenes
        folder = other / ("open", "closed")[scene % 2]
        folder.mkdir(parents=True, exist_ok=True)
        frame_of(scene, 5).save(folder / f"{scene:02d}.png")
    lines: list[str] = []
    scored = pw.evaluate(run, other, note=lines.append)
    assert scored.images == SCENES + 8
    assert scored.without_twins is not None
    assert scored.without_twins.images == SCENES + 8 - len(learned)
    bundle = pw.export(run)
    assert pw.evaluate(bundle, other, note=lines.append).without_twins is None
    assert any("does not say where these are; its run does" in line for line in lines)
    for path in bursts.rglob("*.png"):
        path.rename(path.with_name(f"gone-{path.name}")) if path.stem.startswith("00") else path.unlink()
    assert pw.evaluate(run, other, note=lines.append).without_twins is None
    assert "twins of the training pictures are not looked for" in lines[-1]


def trained_files(run: pw.Run, root: Path) -> list[Path]:
    source = data.open(root)
    assert run.training_digests is not None
    unseen = {sample.name for sample in data.exclude_seen(source.samples, run.training_digests)}
    return [Path(str(sample.picture)) for sample in source.samples if sample.name not in unseen]


@pytest.mark.slow
def test_a_run_from_before_there_was_a_rule_is_split_as_it_was(bursts: Path, tmp_path: Path) -> None:
    run = fit(bursts, tmp_path / "run", twins="keep")
    record = json.loads((run.folder / "run.json").read_text())
    del record["data"]["twins"]
    write_record(run.folder / "run.json", record)
    before = pw.Run(run.folder)
    assert pw.evaluate(before).images == before.evaluation["images"]
    assert fit(bursts, run.folder, resume=True).evaluation == before.evaluation


def test_another_rule_is_refused(bursts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="twins is group, keep or drop, not 'split'"):
        fit(bursts, tmp_path / "run", twins="split")
    assert not (tmp_path / "run").exists()

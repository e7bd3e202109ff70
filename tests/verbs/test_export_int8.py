"""`export` in int8: calibrated on training pictures, gated on validation pictures, and never on those of the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, ParityError, SourceError
from pennyweight.deploy import Int8Error
from pennyweight.verbs import int8_pictures


@pytest.fixture(scope="module")
def int8_bundle(trained: pw.Run, tmp_path_factory: pytest.TempPathFactory) -> pw.Bundle:
    return pw.export(trained, tmp_path_factory.mktemp("int8") / "shapes.onnx", int8=True, max_drop=0.5)


@pytest.fixture
def own_run(trained: pw.Run, tmp_path: Path) -> pw.Run:
    """A copy of the run that a test may change."""
    return pw.Run(shutil.copytree(trained.folder, tmp_path / "own"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The digests of the pictures that are read: to calibrate, and to gate."""
    seen: list[set[str]] = []
    original = int8_pictures._read

    def noted(opened: data.Source, samples: Sequence[data.Sample], *others: Any) -> Any:
        seen.append({sample.digest for sample in samples})
        return original(opened, samples, *others)

    monkeypatch.setattr(int8_pictures, "_read", noted)
    return seen


def split_of(shapes: Path) -> dict[str, set[str]]:
    source = data.open(str(shapes))
    glances = data.glance_at(source)
    assert glances is not None
    parts = data.split_by_rule(source, data.twins_among(glances), "group")
    return {name: {sample.digest for sample in parts[name]} for name in data.SPLITS}


def test_it_predicts_and_is_scored_as_any_bundle(int8_bundle: pw.Bundle, bundle: pw.Bundle, shapes: Path) -> None:
    files = sorted(shapes.rglob("*.png"))[::3]
    ours, theirs = (pw.load(either).predict(files) for either in (int8_bundle, bundle))
    assert sum(a.label == b.label for a, b in zip(ours, theirs, strict=True)) > len(files) // 2
    record = int8_bundle.manifest.quantization
    assert record is not None
    scored = pw.evaluate(int8_bundle, shapes, split="val")
    assert scored.images == record["gate"]["pictures"]
    assert scored.accuracy == pytest.approx(record["gate"]["int8_accuracy"])
    assert pw.evaluate(bundle, shapes, split="val").accuracy == pytest.approx(record["gate"]["float_accuracy"])
    assert bundle.manifest.quantization is None


def test_the_test_split_is_used_for_neither_part(
    trained: pw.Run, shapes: Path, read: list[set[str]], tmp_path: Path
) -> None:
    pw.export(trained, tmp_path / "int8.onnx", int8=True, max_drop=0.9)
    calibration, gate = read
    parts = split_of(shapes)
    assert calibration == parts["train"]
    assert gate == parts["val"]


def test_calibration_takes_classes_in_turn(shapes: Path) -> None:
    samples = data.open(str(shapes)).samples
    chosen = int8_pictures._evenly(samples[:50], 12)  # 40 of the first class, 10 of the second
    assert [sample.label for sample in chosen] == [0, 1] * 6
    assert len({sample.digest for sample in chosen}) == 12
    assert len(int8_pictures._evenly(samples[:50], 300)) == 50


def test_a_refusal_leaves_no_file(own_run: pw.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.deploy.int8.MOST_IN_FLOAT", 0.0)
    monkeypatch.setattr("pennyweight.deploy.int8.Gate.drop", 0.3)
    before = sorted(path.name for path in own_run.folder.iterdir())
    with pytest.raises(
        Int8Error, match=r"loses 30\.00% of the accuracy on .* in any form, above the allowed 1\.00%"
    ) as caught:
        pw.export(own_run, int8=True)
    assert isinstance(caught.value, ParityError)
    assert len(caught.value.layers) > 3
    assert sorted(path.name for path in own_run.folder.iterdir()) == before


def test_its_default_file_stands_next_to_the_float_bundle(own_run: pw.Run) -> None:
    made = pw.export(own_run, int8=True, max_drop=0.9)
    assert made.path == own_run.folder / "model-int8.onnx"
    assert pw.export(own_run, int8=True, max_drop=0.9).path == made.path  # replaced, as model.onnx is


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_drop": 0.01}, "max_drop belongs to int8 and prune; add"),
        ({"calibrate": "somewhere"}, "calibrate belongs to int8"),
        ({"int8": True, "max_drop": 1}, "from 0 to below 1, such as 0.01, not 1"),
        ({"int8": True, "max_drop": -0.1}, "not -0.1"),
        ({"int8": True, "max_drop": float("nan")}, "not nan"),
        ({"int8": True, "max_drop": "1%"}, "not '1%'"),
    ],
)
def test_settings_that_cannot_be_used(trained: pw.Run, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pw.export(trained, tmp_path / "x.onnx", **options)


def test_where_the_training_pictures_are_gone_another_source_calibrates(
    own_run: pw.Run, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    from pennyweight.core.files import read_json
    from pennyweight.core.run import write_record

    record = read_json(own_run.record_path)
    record["data"] |= {"address": str(tmp_path / "gone")}
    write_record(own_run.record_path, record)
    with pytest.raises(SourceError, match=r"int8 needs pictures of the training .*--calibrate"):
        pw.export(own_run, tmp_path / "x.onnx", int8=True)
    others = draw_colours(tmp_path / "others", 6, seed=5)
    made = pw.export(own_run, tmp_path / "x.onnx", int8=True, max_drop=0.9, calibrate=others)
    assert made.manifest.quantization is not None
    assert made.manifest.quantization["calibration"] == {"pictures": 9, "of": "half of others"}
    assert made.manifest.quantization["gate"]["of"] == "the other half of others"


def test_pictures_without_the_networks_classes_gate_by_agreement(
    trained: pw.Run, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    plain = (draw_colours(tmp_path / "others", 8, seed=5) / "red").rename(tmp_path / "plain")
    lines: list[str] = []
    made = pw.export(trained, tmp_path / "x.onnx", int8=True, max_drop=0.9, calibrate=plain, note=lines.append)
    assert made.manifest.quantization is not None
    assert made.manifest.quantization["gate"]["measure"] == "agreement"
    assert any(line.startswith("int8 is gated by agreement with float, because plain has a class") for line in lines)


def test_pictures_that_training_has_seen_gate_nothing(trained: pw.Run, shapes: Path, tmp_path: Path) -> None:
    source = data.open(str(shapes))
    known = trained.training_digests
    assert known is not None
    seen = set(source.samples) - set(data.exclude_seen(source.samples, known))
    copy = tmp_path / "copy"
    for sample in seen:
        assert isinstance(sample.picture, Path)
        (copy / sample.picture.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.picture, copy / sample.picture.parent.name)
    with pytest.raises(SourceError, match="was trained on every picture of copy"):
        pw.export(trained, tmp_path / "x.onnx", int8=True, calibrate=copy)


def test_few_pictures_are_noted(
    trained: pw.Run, draw_colours: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines: list[str] = []
    monkeypatch.setattr("pennyweight.deploy.int8.Gate.drop", 0.0)
    others = draw_colours(tmp_path / "others", 6, seed=5)
    pw.export(trained, tmp_path / "x.onnx", int8=True, calibrate=others, note=lines.append)
    assert "one of the 9 pictures that gate int8 is 11.1%, more than the allowed drop of 1.0%" in " ".join(lines)


def test_pictures_of_a_test_split_alone_are_refused(
    trained: pw.Run, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    draw_colours(tmp_path / "others" / "test", 6, seed=5, colours=("red",))
    draw_colours(tmp_path / "others" / "train", 1, seed=6, colours=("red",))
    with pytest.raises(SourceError, match=r"at least two pictures that are not of a test split.*others has 1"):
        pw.export(trained, tmp_path / "x.onnx", int8=True, calibrate=tmp_path / "others")


def test_a_name_with_weights_needs_pictures(trained: pw.Run, tmp_path: Path) -> None:
    name, out = "mobilenet_v1_x0_25", tmp_path / "x.onnx"
    with pytest.raises(InputError, match=f"int8 is calibrated on pictures, and {name} has none: .* --calibrate"):
        pw.export(name, out, weights=trained.weights_path, int8=True)


@pytest.mark.slow
def test_a_name_with_weights_is_calibrated_on_pictures_that_are_given(
    trained: pw.Run, draw_colours: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, out = "mobilenet_v1_x0_25", tmp_path / "x.onnx"
    others = draw_colours(tmp_path / "others", 6, seed=5)
    made = pw.export(name, out, weights=trained.weights_path, int8=True, max_drop=0.9, calibrate=others)
    assert made.manifest.quantization is not None
    assert made.manifest.quantization["gate"]["measure"] == "accuracy"
    monkeypatch.chdir(tmp_path)
    assert pw.export(name, weights=trained.weights_path, int8=True, max_drop=0.9, calibrate=others).path == Path(
        f"{name}-int8.onnx"
    )


def test_fine_tuning_takes_training_pictures_alone(
    trained: pw.Run, shapes: Path, tmp_path: Path, read: list[set[str]]
) -> None:
    notes: list[str] = []
    made = pw.export(trained, tmp_path / "t.onnx", int8=True, tune=True, max_drop=0.5, note=notes.append)
    parts = split_of(shapes)
    assert read[0] <= parts["train"]
    assert read[1] <= parts["val"]
    assert any("fine-tun" in note for note in notes)
    record = made.manifest.quantization
    assert record is not None
    assert record.get("tuning", {"of": "training split of shapes"})["of"] == "training split of shapes"


def test_fine_tuning_belongs_to_int8(trained: pw.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tune belongs to int8; add int8 \(--int8\)"):
        pw.export(trained, tmp_path / "t.onnx", tune=True)
    assert not list(tmp_path.iterdir())

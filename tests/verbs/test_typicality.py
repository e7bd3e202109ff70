"""Typicality from `fit` to the bundle: measured alike, without a change of any probability."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.cli import main
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.core.manifest import METADATA_KEY, STRANGENESS
from pennyweight.core.seal import seal
from pennyweight.verbs.load import restore
from pennyweight.verbs.strangers import measure_strangers


def test_a_run_and_its_bundle_say_how_typical_a_picture_is(trained: pw.Run, bundle: pw.Bundle, shapes: Path) -> None:
    assert trained.typicality is not None
    held_out = trained.typicality[1]
    assert len(held_out) >= 19
    pictures = sorted(shapes.rglob("*.png"))
    of_run, of_bundle = pw.load(trained).predict(pictures), pw.load(bundle).predict(pictures)
    assert all(answer.typical is not None for answer in of_run)
    difference = [abs((one.typical or 0) - (two.typical or 0)) for one, two in zip(of_run, of_bundle, strict=True)]
    assert max(difference) <= 2 * held_out.finest
    assert np.mean([(answer.typical or 0) <= 0.1 for answer in of_bundle]) < 0.3
    assert bundle.manifest.typicality is not None
    assert bundle.manifest.typicality["limits"]["0.05"] == pytest.approx(held_out.limit(0.05), rel=1e-6)
    assert "typicality: calibrated on" in repr(bundle)
    schema = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(bundle.manifest.to_json()))


def without_typicality(bundle: pw.Bundle, path: Path) -> pw.Bundle:
    """Write the bundle as a version before typicality did."""
    model = onnx.load(bundle.path)
    for number, output in reversed(list(enumerate(model.graph.output))):
        if output.name == STRANGENESS:
            del model.graph.output[number]
    for parts in (model.graph.node, model.graph.initializer):
        for number, part in reversed(list(enumerate(parts))):
            if part.name.startswith("strangeness/"):
                del parts[number]
    metadata = {each.key: each.value for each in model.metadata_props if each.key.startswith("pennyweight-learnt")}
    del model.metadata_props[:]
    manifest = replace(bundle.manifest, typicality=None)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json(), **metadata})
    onnx.save(model, path)
    seal(path)
    return pw.Bundle(path)


def test_probabilities_keep_their_bits(bundle: pw.Bundle, shapes: Path, tmp_path: Path) -> None:
    old = without_typicality(bundle, tmp_path / "old.onnx")
    pictures = sorted(shapes.rglob("*.png"))[:40]
    before, after = (pw.load(each).predict(pictures) for each in (old, bundle))
    assert [answer.top for answer in before] == [answer.top for answer in after]
    assert before[0].typical is None
    assert "typicality" not in repr(old)
    pixels = np.stack([bundle.manifest.preprocess(picture) for picture in pictures])
    assert all(map(np.array_equal, old.engine(pixels), bundle.engine(pixels)))
    assert bundle.path.stat().st_size - old.path.stat().st_size < 200_000


def test_weights_are_those_without_typicality(trained: pw.Run, shapes: Path) -> None:
    """The score of a run is one of its own weights: nothing that typicality computes moves them."""
    pictures = sorted(shapes.rglob("*.png"))[:10]
    classifier = pw.load(trained)
    plain = replace(classifier, held_out=None).predict(pictures)
    assert [answer.top for answer in plain] == [answer.top for answer in classifier.predict(pictures)]
    assert restore(trained).training is False


def test_a_change_of_the_file_is_noticed(trained: pw.Run, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(trained.folder, copy)
    (copy / "typicality.npz").write_bytes(b"other")
    with pytest.raises(RunError, match=r"typicality\.npz has another SHA-256"):
        pw.load(copy)


def noise(folder: Path, count: int) -> list[Path]:
    """Write pictures of black and white points, which are unlike the shapes."""
    draw = np.random.default_rng(0)
    paths = [folder / f"noise-{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray((draw.integers(0, 2, (20, 24, 3)) * 255).astype(np.uint8)).save(path)
    return paths


def test_strangers_are_flagged_refused_or_ignored(bundle: pw.Bundle, shapes: Path, tmp_path: Path) -> None:
    classifier, pictures = pw.load(bundle), sorted(shapes.rglob("*.png"))[:10] + noise(tmp_path, 3)
    half = classifier.with_strangers(least_typical=0.5)
    flagged = [half.is_strange(answer) for answer in half.predict(pictures)]
    assert flagged == [(answer.typical or 1) <= 0.5 for answer in classifier.predict(pictures)]
    assert any(flagged)
    refusing = pw.predict(bundle, pictures, strangers="refuse", least_typical=0.5)
    answers = list(refusing)
    assert [isinstance(answer, pw.Failure) for answer in answers] == flagged
    refused = next(answer for answer in answers if isinstance(answer, pw.Failure))
    assert f"no prediction for {refused.source}: it is unlike anything the network was taught" in refused.error
    ignored = pw.predict(bundle, pictures, strangers="ignore")
    assert {answer.to_dict()["typical"] for answer in ignored} == {None}


@pytest.mark.parametrize(
    ("rule", "least", "line"),
    [
        ("flags", None, "unknown rule 'flags' for strangers; did you mean 'flag'"),
        ("ignore", 0.1, "strangers are ignored; leave one out"),
        ("flag", 1.0, "above 0 and below 1, such as 0.01, not 1.0"),
        ("flag", 1e-6, r"finer than \d+ held-out pictures can tell"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(
    bundle: pw.Bundle, rule: str, least: float | None, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        pw.load(bundle).with_strangers(rule, least)


def rows_of(parts: Path) -> list[dict[str, Any]]:
    """Return the rows of a folder of parts."""
    return [json.loads(line) for file in sorted(parts.glob("part-*.jsonl")) for line in file.read_text().splitlines()]


def test_the_command_marks_and_counts_strangers(
    bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [*map(str, sorted(shapes.rglob("*.png"))[:4]), *map(str, noise(tmp_path, 2))]
    command = ["predict", str(bundle.path), *pictures, "--least-typical", "50%"]
    flagged = [answer.typical <= 0.5 for answer in pw.load(bundle).predict(pictures) if answer.typical is not None]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out.count("unlike") == sum(flagged)
    assert f"{sum(flagged)} of 6 are unlike anything it was taught (50% typical or less)" in err
    assert main([*command, "--strangers", "refuse", "--jsonl"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["error" in row for row in rows] == flagged
    assert main([*command, "--parts", str(tmp_path / "parts")]) == 0
    assert f"{sum(flagged)} of 6 are unlike anything it was taught (50% typical or less)" in capsys.readouterr().err
    refusing = [*command, "--strangers", "refuse", "--parts", str(tmp_path / "refused")]
    assert main(refusing) == 1
    kept, refused = (rows_of(tmp_path / name) for name in ("parts", "refused"))
    assert [row["typical"] <= 0.5 for row in kept] == ["error" in row for row in refused] == flagged
    assert main([*command, "--parts", str(tmp_path / "refused")]) == 1
    assert "holds predictions with another strangers ('refuse', now None)" in capsys.readouterr().err


def test_the_report_shows_the_least_typical_pictures_of_each_split(trained: pw.Run, shapes: Path) -> None:
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<h2 id="least-typical">') : page.index('<h2 id="inputs">')]
    splits = data.split(data.open(shapes))
    classifier = pw.load(trained)
    for heading, samples in (("Training", splits.train), ("Validation", splits.val), ("Test", splits.test)):
        own = section.split(f"<h3>{heading}</h3>")[1].split("<h3>")[0].replace("<wbr>", "")
        shown = [sample for sample in samples if f">{sample.name}</span>" in own]
        assert len(shown) == own.count("<figure>") == min(8, len(samples))
    typical = {sample.name: classifier.predict(str(sample.picture))[0].typical or 0 for sample in splits.test}
    assert {sample.name for sample in shown} >= {
        name for name, value in typical.items() if value < sorted(typical.values())[7]
    }


def test_networks_without_typicality_say_so(bundle: pw.Bundle, tmp_path: Path) -> None:
    old = pw.load(without_typicality(bundle, tmp_path / "old.onnx"))
    assert not old.is_strange(old.predict(np.zeros((8, 8, 3), np.uint8))[0])
    with pytest.raises(InputError, match="does not know how typical a picture is"):
        old.with_strangers("refuse")


def test_strangers_of_a_folder_are_counted(
    bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise").mkdir()
    pictures = noise(tmp_path / "noise", 5)
    answers = [answer.typical or 0 for answer in pw.load(bundle).predict(pictures)]
    found = measure_strangers(bundle, tmp_path / "noise")
    held_out = bundle.manifest.held_out
    assert held_out is not None
    for each in found.flagged:
        assert each.pictures == sum(value <= each.least_typical + 1e-12 for value in answers)
    assert found.flagged[-1].expected == held_out.expected(max(0.05, held_out.finest)) == held_out.finest
    assert len(found.flagged) == 1  # 1% and 5% are the same share of 23 held-out pictures
    pixels = np.stack([bundle.manifest.preprocess(picture) for picture in pictures])
    strange = bundle.engine.with_strangeness(pixels).strangeness
    assert found.auroc == pytest.approx((strange[:, None] > held_out.strangeness).mean(), abs=1e-9)
    assert found.least_typical[0][1] == min(answers)
    command = ["evaluate", str(bundle.path), str(shapes), "--split", "train"]
    assert main([*command, "--strangers", str(tmp_path / "noise")]) == 0
    assert f"AUROC {found.auroc:.3f} against {len(held_out)} held-out pictures" in capsys.readouterr().out
    main(["doctor", str(shapes), "--quick", "--like", str(bundle.path)])
    said = capsys.readouterr().out
    assert f"of these are unlike training; {100 * held_out.finest:.3g}% expected" in said
    assert "least typical: " in said


def test_pictures_that_training_has_seen_tell_no_shift(
    trained: pw.Run, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are more typical than pictures that come later."""
    splits = data.split(data.open(shapes))
    seen = len(splits.train) + len(splits.val)
    assert main(["doctor", str(shapes), "--quick", "--like", str(trained.folder)]) == 0
    assert f"{seen} pictures of shapes left out of typicality: training has seen them" in capsys.readouterr().err
    every = data.open(shapes)
    learned = replace(every, samples=data.split(every).train)
    with pytest.raises(SourceError, match="training has seen every picture"):
        measure_strangers(trained, learned)


def test_pictures_that_cannot_be_read_are_no_strangers(bundle: pw.Bundle, tmp_path: Path) -> None:
    noise(tmp_path, 1)
    (tmp_path / "torn.png").write_bytes(b"no picture")
    found = measure_strangers(bundle, tmp_path)
    assert (found.pictures, found.unreadable) == (1, 1)
    assert found.caught_line.endswith("; 1 could not be read")
    assert found.shift_line.endswith("; 1 could not be read")
    (tmp_path / "noise-0.png").unlink()
    with pytest.raises(SourceError, match="no picture that can be read"):
        measure_strangers(bundle, tmp_path)


def test_one_rank_measures_strangers_alone(bundle: pw.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rank of `evaluate` does, after the others have ended."""
    from pennyweight.verbs import ranks

    monkeypatch.setattr(ranks, "_ranks", lambda wait: pytest.fail("waits for the other ranks"))
    noise(tmp_path, 2)
    assert measure_strangers(bundle, tmp_path).pictures == 2


def test_pictures_of_the_training_are_no_strangers(
    trained: pw.Run, bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are left out by their content, wherever they lie and however they are given."""
    splits = data.split(data.open(shapes))
    learned = [tmp_path / f"copy-{number}.png" for number in range(3)]
    for path, sample in zip(learned, splits.train, strict=False):
        path.write_bytes(Path(str(sample.picture)).read_bytes())
    said: list[str] = []
    new = noise(tmp_path, 2)
    found = measure_strangers(bundle, [*learned, *new], note=said.append)
    assert found.pictures == 2
    assert said == ["3 pictures of the given pictures left out of typicality: training has seen them"]
    assert measure_strangers(trained, [io.BytesIO(path.read_bytes()) for path in (learned[0], new[0])]).pictures == 1
    pixels = np.stack([np.asarray(Image.open(path)) for path in learned])
    with pytest.raises(SourceError, match="training has seen every picture of the given pictures"):
        measure_strangers(trained, pixels)
    command = ["evaluate", str(bundle.path), str(shapes), "--split", "train", "--json"]
    assert main([*command, "--strangers", str(learned[0])]) == 1
    out, err = capsys.readouterr()
    assert "training has seen every picture" in err
    assert json.loads(out)["accuracy"] > 0.5  # the score stays


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["evaluate", "BUNDLE", "SHAPES", "--strangers", "nosuch"], "no pictures at nosuch; give a folder"),
        (["evaluate", "BUNDLE", "SHAPES", "--strangers", "refuse"], "'refuse' is a rule of `predict --strangers`"),
        (["evaluate", "BUNDLE", "SHAPES", "--strangers", "EMPTY"], "has no picture that can be read"),
        (["evaluate", "OLD", "SHAPES", "--strangers", "SHAPES"], "does not know how typical a picture is"),
        (["evaluate", "RUN", "SHAPES", "--strangers", "SHAPES", "--engine", "torch-compiled"], "leave the engine out"),
        (["doctor", "SHAPES", "--like", "nosuch.onnx"], "no run or bundle at nosuch.onnx; --like takes a folder that"),
        (["doctor", "SHAPES", "--like", "mobilenet_v2"], "no run or bundle at mobilenet_v2; --like takes a folder"),
        (["doctor", "SHAPES", "--like", "OLD"], "does not know how typical a picture is"),
    ],
)
def test_a_mistake_in_strangers_is_told_before_the_work(
    arguments: list[str],
    line: str,
    trained: pw.Run,
    bundle: pw.Bundle,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for work in ("evaluate.evaluate", "doctor.doctor"):
        monkeypatch.setattr(f"pennyweight.verbs.{work}", lambda *_, **__: pytest.fail("begins to work"))
    (tmp_path / "empty").mkdir()
    places = {"BUNDLE": bundle.path, "RUN": trained.folder, "SHAPES": shapes, "EMPTY": tmp_path / "empty"}
    if "OLD" in arguments:
        places["OLD"] = without_typicality(bundle, tmp_path / "old.onnx").path
    assert main([str(places.get(each, each)) for each in arguments]) != 0
    assert line in capsys.readouterr().err


def test_strangers_follow_the_limit_of_pixels_and_any_rule(
    trained: pw.Run, bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise(tmp_path, 2)
    with pytest.raises(SourceError, match="no picture that can be read"):
        measure_strangers(bundle, tmp_path, max_pixels=100)
    command = ["evaluate", str(trained.folder), str(shapes), "--split", "train", "--max-pixels", "480"]
    Image.new("RGB", (30, 30)).save(tmp_path / "large.png")
    assert main([*command, "--strangers", str(tmp_path)]) == 0
    assert "held-out pictures; 1 could not be read" in capsys.readouterr().out
    refusing = pw.load(bundle).with_strangers("refuse", 0.9)
    assert measure_strangers(refusing, tmp_path).pictures == 3
    with pytest.raises(InputError, match="a Classifier has its engine"):
        measure_strangers(refusing, tmp_path, threads=1)


def test_the_number_by_chance_is_what_few_held_out_pictures_give(
    bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [*sorted(shapes.rglob("*.png"))[:40], *noise(tmp_path, 5)]
    command = ["predict", str(bundle.path), *map(str, pictures), "--least-typical", "8%"]
    held_out = bundle.manifest.held_out
    assert held_out is not None
    assert round(0.08 * 45) != round(held_out.expected(0.08) * 45) == 2
    for rest in ([], ["--parts", str(tmp_path / "parts")]):
        assert main([*command, *rest]) == 0
        assert "(8% typical or less; 2 expected by chance)" in capsys.readouterr().err

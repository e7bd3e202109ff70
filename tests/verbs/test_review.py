"""A review ranks planted label errors first, and what it writes corrects them in the next training."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.data.corrections import Correction, read_corrections
from pennyweight.verbs.reviewing import out_of_fold
from pennyweight.verbs.reviewing.out_of_fold import answer_out_of_fold
from pennyweight.verbs.reviewing.result import Review, ReviewedPicture

WRONG = ("bright/00.png", "dark/01.png")


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark pictures, 20 each; one of each is in the folder of the other class."""
    root, draw = tmp_path_factory.mktemp("review") / "shades", np.random.default_rng(0)
    for label, level in (("bright", 200), ("dark", 60)):
        (root / label).mkdir(parents=True)
        for number in range(20):
            name = f"{label}/{number:02d}.png"
            shown = 260 - level if name in WRONG else level
            pixels = np.clip(draw.normal(shown, 15, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name)
    return root


@pytest.fixture(scope="module")
def run(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    return pw.fit(
        shades, "mobilenet_v1_x0_25", input_size=16, recipe={"epochs": 1, "batch": 8}, twins="keep", progress=False,
        config={"stages": [[32, 1, 1], [64, 1, 2]]}, out=tmp_path_factory.mktemp("runs") / "run",
    )  # fmt: skip


def test_planted_errors_come_first_and_are_corrected(run: pw.Run, shades: Path, tmp_path: Path) -> None:
    found = pw.review(run, html=tmp_path / "page.html", csv=tmp_path / "list.csv")
    assert {each.picture for each in found.pictures[:2]} == set(WRONG)
    assert len(found.pictures) == 40
    assert [each.quality for each in found.pictures] == sorted(each.quality for each in found.pictures)
    assert found.likely_errors == 2
    assert "mode head finds more" in found.notes[0]  # the whole network learned from the labels
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(page.count(f'data-picture="{name}"') == 1 for name in WRONG)
    assert "likely label errors: 2" in repr(found)

    rows = rows_of(tmp_path / "list.csv")
    assert [row["picture"] for row in rows] == [each.picture for each in found.pictures]
    filled = fill(tmp_path / "filled.csv", rows, {name: {"correct_label": rows_answer(rows, name)} for name in WRONG})
    corrected = data.open(shades, read_as={"corrections": filled})
    assert {s.name: corrected.labels[s.label] for s in corrected.samples if s.name in WRONG} == {
        "bright/00.png": "dark", "dark/01.png": "bright",
    }  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def rows_answer(rows: list[dict[str, str]], name: str) -> str:
    return next(row["answer"] for row in rows if row["picture"] == name)


def fill(path: Path, rows: list[dict[str, str]], changes: dict[str, dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0]])
        table.writeheader()
        table.writerows(row | changes.get(row["picture"], {}) for row in rows)
    return path


def test_earlier_corrections_are_kept_and_not_asked_again(run: pw.Run, shades: Path, tmp_path: Path) -> None:
    rows = [
        {"picture": "bright/00.png", "correct_label": "dark", "leave_out": ""},
        {"picture": "dark/01.png", "correct_label": "dark", "leave_out": ""},  # a person says that it is right
        {"picture": "dark/02.png", "correct_label": "", "leave_out": "yes"},
    ]
    table = fill(tmp_path / "first.csv", rows, {})
    how: dict[str, Any] = {"corrections": table}
    found = pw.review(run, shades, read_as=how, html=tmp_path / "page.html", csv=tmp_path / "second.csv")
    assert len(found.pictures) == 39
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<li data-picture="dark/01.png" data-label' not in page
    assert '<li data-picture="dark/01.png" data-correct="dark"' in page
    written = {row["picture"]: row for row in rows_of(tmp_path / "second.csv")}
    assert written["bright/00.png"]["correct_label"] == written["dark/01.png"]["correct_label"] == "dark"
    assert written["dark/02.png"]["leave_out"] == "yes"
    again = data.open(shades, read_as={"corrections": tmp_path / "second.csv"})
    assert again.fingerprint == data.open(shades, read_as=how).fingerprint


def test_a_correction_stays_with_its_picture_and_a_new_one_of_the_name_has_none(
    run: pw.Run, shades: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shades, tmp_path / "shades")
    digest = {sample.name: sample.digest for sample in data.open(folder).samples}
    rows = [
        {"picture": "bright/03.png", "correct_label": "dark", "leave_out": "", "digest": digest["bright/03.png"]},
        {"picture": "", "correct_label": "dark", "leave_out": "", "digest": digest["bright/00.png"]},
        {"picture": "", "correct_label": "bright", "leave_out": "", "digest": digest["dark/01.png"]},
    ]
    table = fill(tmp_path / "first.csv", rows, {})
    Image.fromarray(np.full((20, 20, 3), 222, np.uint8)).save(folder / "bright/03.png")
    how: dict[str, Any] = {"corrections": table}
    pw.review(run, folder, read_as=how, html=tmp_path / "page.html", csv=tmp_path / "second.csv", count=40)
    cards = (tmp_path / "page.html").read_text(encoding="utf-8").partition('id="earlier"')[0]
    assert [cards.count(f'data-picture="{name}"') for name in ("bright/03.png", *WRONG)] == [1, 0, 0]
    again = data.open(folder, read_as={"corrections": tmp_path / "second.csv"})
    label = {sample.name: again.labels[sample.label] for sample in again.samples}
    assert [label[name] for name in ("bright/03.png", *WRONG)] == ["bright", "dark", "bright"]
    assert again.fingerprint == data.open(folder, read_as=how).fingerprint
    kept = [row for row in rows_of(tmp_path / "second.csv") if row["digest"] == rows[0]["digest"]]
    assert [row["correct_label"] for row in kept] == ["dark"]  # the picture may come back


def test_a_training_remembers_its_corrections(run: pw.Run, shades: Path, tmp_path: Path) -> None:
    digest = {sample.name: sample.digest for sample in data.open(shades).samples}[WRONG[1]]
    rows = [
        {"picture": WRONG[0], "correct_label": "dark", "leave_out": "", "digest": ""},
        {"picture": WRONG[1], "correct_label": "bright", "leave_out": "", "digest": digest},
    ]
    table = fill(tmp_path / "f.csv", rows, {})
    again = pw.fit(
        shades, "mobilenet_v1_x0_25", input_size=16, recipe={"epochs": 1, "batch": 8}, twins="keep", progress=False,
        config={"stages": [[32, 1, 1], [64, 1, 2]]}, out=tmp_path / "run", read_as={"corrections": str(table)},
    )  # fmt: skip
    assert again.record["data"]["fingerprint"] != run.record["data"]["fingerprint"]
    assert pw.evaluate(again).accuracy == again.evaluation["accuracy"]
    moved = shutil.copytree(shades, tmp_path / "moved")
    for reviewed in (pw.review(again), pw.review(again, moved)):
        assert next(each for each in reviewed.pictures if each.picture == WRONG[0]).label == "dark"
    assert pw.evaluate(again, moved).accuracy == again.evaluation["accuracy"]

    lines: list[str] = []
    (moved / "bright/04.png").unlink()
    pw.evaluate(again, moved, split="train", note=lines.append)
    told = [
        line for line in (*lines, *pw.review(again, moved).notes) if line.startswith("labels are as the files have")
    ]
    assert len(told) == 2
    table.unlink()
    for again_opened in (pw.evaluate, pw.review):
        with pytest.raises(SourceError, match=r"cannot be opened as they were then: no corrections at .*f\.csv"):
            again_opened(again)


def test_what_cannot_be_reviewed_is_refused(run: pw.Run, shades: Path, tmp_path: Path) -> None:
    (tmp_path / "there.html").touch()
    with pytest.raises(InputError, match="there"):
        pw.review(run, html=tmp_path / "there.html")
    with pytest.raises(InputError, match="at least 1, not 0"):
        pw.review(run, count=0)
    with pytest.raises(RunError, match="takes a run's folder"):
        pw.review(run.weights_path)


def test_pictures_that_cannot_be_read_are_named(run: pw.Run, shades: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shades, tmp_path / "shades")
    (folder / "dark/19.png").write_bytes((folder / "dark/19.png").read_bytes()[:200])
    lost: list[data.Unreadable] = []
    found = pw.review(run, folder, left_out=lost.append)
    assert len(found.pictures) == 39
    assert ["19.png" in each.reason for each in lost] == [True]


def test_of_many_pictures_some_teach_and_all_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    targets = np.array([0] * 150 + [1] * 150 + [2] * 6)
    values = (draw.normal(size=(306, 8)) + 4 * np.eye(8)[targets]).astype(np.float32)
    pixels = draw.integers(0, 255, (306, 4, 4), dtype=np.uint8)
    opened = data.open((pixels, targets))
    monkeypatch.setattr(out_of_fold, "MOST_TEACHING", 60)
    found = answer_out_of_fold(values, opened.samples, opened.labels, {})
    assert found.probabilities.shape == (306, 3)
    assert np.allclose(found.probabilities.sum(axis=1), 1)
    own = np.array([sample.label for sample in opened.samples])
    assert (found.probabilities.argmax(axis=1) == own).mean() > 0.95
    assert (found.probabilities.argmax(axis=1) == own)[own == 2].mean() > 0.6


def test_groups_larger_than_a_share_teach_in_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    targets = np.array([0, 1]).repeat(120)
    opened = data.open((draw.integers(0, 255, (240, 4, 4), dtype=np.uint8), targets))
    own = np.array([sample.label for sample in opened.samples])
    values = (draw.normal(size=(240, 8)) + 4 * np.eye(8)[own]).astype(np.float32)
    samples = [replace(each, group=f"{each.label} {number % 4}") for number, each in enumerate(opened.samples)]
    monkeypatch.setattr(out_of_fold, "MOST_TEACHING", 40)  # a share is 20 pictures, and a group has 30
    found = answer_out_of_fold(values, samples, opened.labels, {})
    assert (found.probabilities.argmax(axis=1) == own).mean() > 0.95


def test_fewer_pictures_of_each_class_teach_where_there_are_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, taught = np.random.default_rng(0), list[int]()
    opened = data.open((draw.integers(0, 255, (360, 4, 4), dtype=np.uint8), np.arange(30).repeat(12)))
    learn = out_of_fold.learn_in_folds

    def counted(features: Any, *others: Any, **options: Any) -> Any:
        taught.append(len(features))
        return learn(features, *others, **options)

    monkeypatch.setattr(out_of_fold, "MOST_TEACHING", 60)
    monkeypatch.setattr(out_of_fold, "learn_in_folds", counted)
    answer_out_of_fold(draw.normal(size=(360, 4)).astype(np.float32), opened.samples, opened.labels, {})
    assert taught == [180] * 3


def test_a_table_has_no_formulas(tmp_path: Path) -> None:
    one = Correction("line 2 of t.csv", "=gone.png", "d" * 64, "=cats", leave_out=False)
    picture = ReviewedPicture(
        picture="a.png", label="+dogs", answer="=cats", quality=0.1, label_probability=0.1, answer_probability=0.9,
        nearest_other="b.png", nearest_other_label="=cats", similarity=-0.5, digest="e" * 64,
    )  # fmt: skip
    found = Review(
        source="s", labels=("+dogs", "=cats"), pictures=(picture,), likely_errors=1,
        earlier={(one.picture, one.digest): one},
    )  # fmt: skip
    found.write_csv(tmp_path / "t.csv")
    first, last = rows_of(tmp_path / "t.csv")
    assert (first["label"], first["answer"], first["similarity"]) == ("'+dogs", "'=cats", "-0.5000")
    assert (last["picture"], last["correct_label"]) == ("'=gone.png", "'=cats")
    read = read_corrections(tmp_path / "t.csv")[0]
    assert (read.picture, read.label) == ("=gone.png", "=cats")

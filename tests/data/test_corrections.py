"""A table of corrections changes labels and leaves pictures out, whatever kind of source it is applied to."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.corrections import carry_over

HEADING = ("picture", "correct_label", "leave_out", "digest")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three gray pictures."""
    for label, level in (("cats", 40), ("dogs", 200)):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((16, 16), level + number, np.uint8)).save(tmp_path / f"pets/{label}/{number}.png")
    return tmp_path / "pets"


def written(path: Path, *rows: tuple[str, ...], heading: tuple[str, ...] = HEADING) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


def labels_of(source: data.Source) -> dict[str, str]:
    return {sample.name: source.labels[sample.label] for sample in source.samples}


def corrected(folder: Path, *rows: tuple[str, ...]) -> data.Source:
    return data.open(folder, read_as={"corrections": written(folder.parent / "fixed.csv", *rows)})


def test_labels_change_and_pictures_are_left_out(folder: Path) -> None:
    digest = {sample.name: sample.digest for sample in data.open(folder).samples}
    rows = [
        ("cats/0.png", "dogs", "", digest["cats/0.png"]),
        ("cats/1.png", "", "yes", ""),
        ("dogs/1.png", "dogs", "", ""),
        ("dogs/2.png", "", "", ""),
    ]
    found = corrected(folder, *rows)
    assert labels_of(found) == {
        "cats/0.png": "dogs", "cats/2.png": "cats", "dogs/0.png": "dogs", "dogs/1.png": "dogs", "dogs/2.png": "dogs",
    }  # fmt: skip
    assert "fixed.csv: 1 label changed, 1 picture left out, 1 label confirmed" in found.notes
    assert found.fingerprint != data.open(folder).fingerprint


def test_a_renamed_picture_is_known_by_its_content(folder: Path) -> None:
    digest = {sample.name: sample.digest for sample in data.open(folder).samples}
    found = corrected(folder, ("elsewhere/a.png", "dogs", "", digest["cats/0.png"]))
    assert labels_of(found)["cats/0.png"] == "dogs"


def test_a_row_of_another_content_does_not_change_the_picture_of_its_name(folder: Path) -> None:
    digest = {sample.name: sample.digest for sample in data.open(folder).samples}
    rows = [("cats/0.png", "dogs", "", "f" * 64), ("cats/1.png", "dogs", "", digest["cats/1.png"])]
    found = corrected(folder, *rows)
    assert labels_of(found)["cats/0.png"] == "cats"
    assert any("1 row of fixed.csv means no picture here" in note for note in found.notes)


def test_a_copy_of_a_picture_that_is_left_out_is_carried_over_unchanged(folder: Path) -> None:
    shutil.copy(folder / "cats/0.png", folder / "cats/copy.png")
    digest = {sample.name: sample.digest for sample in data.open(folder).samples}
    rows = [("cats/0.png", "", "yes", digest["cats/0.png"]), ("cats/copy.png", "dogs", "", digest["cats/copy.png"])]
    found = carry_over(corrected(folder, *rows).samples, folder.parent / "fixed.csv")
    assert [(each.picture, each.label, each.leave_out) for each in found] == [
        ("cats/copy.png", "dogs", False), ("cats/0.png", "", True),
    ]  # fmt: skip


def test_arrays_are_corrected_too(folder: Path, tmp_path: Path) -> None:
    pixels = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8)
    plain = data.open((pixels, ["a", "b"] * 3))
    table = written(tmp_path / "fixed.csv", (plain.samples[0].name, "b", "", plain.samples[0].digest))
    found = data.open((pixels, ["a", "b"] * 3), read_as={"corrections": table})
    assert labels_of(found)[plain.samples[0].name] == "b"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("cats/0.png", "dgos", "", ""), "line 2 of .*'dgos', which is no class of pets; did you mean 'dogs'"),
        (
            ("cats/0.png", "", "nein", ""),
            "line 2 of .* has 'nein' in leave_out, which takes yes, .*; write yes, or empty",
        ),
        (("cats/0.png", "dogs", "x", ""), "gives cats/0.png the label 'dogs' and leaves it out"),
        (("cats/9.png", "dogs", "", ""), "corrects no picture of pets; its first row is cats/9.png"),
    ],
)
def test_a_row_that_cannot_be_applied_is_named(folder: Path, row: tuple[str, ...], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        corrected(folder, row)


def test_a_number_without_its_zeros_is_explained_and_a_formula_is_read_as_its_text(folder: Path) -> None:
    (folder / "cats").rename(folder / "007")
    (folder / "dogs").rename(folder / "=dogs")
    with pytest.raises(SourceError, match="'7', which is no class of pets; did you mean '007'"):
        corrected(folder, ("=dogs/0.png", "7", "", ""))
    assert labels_of(corrected(folder, ("007/0.png", "'=dogs", "-", "")))["007/0.png"] == "=dogs"


@pytest.mark.parametrize(
    ("ending", "before"),
    [
        ("csv", "sep=,\npicture,correct_label,leave_out\n\n"),
        ("jsonl", "\n\n\n"),
        ("csv", "\ufeff" + "picture,correct_label,leave_out\n\n\n"),
    ],
)
def test_an_error_names_the_line_of_the_file(folder: Path, ending: str, before: str) -> None:
    row = "cats/0.png,dgos," if ending == "csv" else json.dumps({"picture": "a", "correct_label": "b", "leave_out": 1})
    table = folder.parent / f"fixed.{ending}"
    table.write_text(f"{before}{row}\n", encoding="utf-8")
    with pytest.raises(SourceError, match="line 4 of "):
        data.open(folder, read_as={"corrections": table})


def test_contradicting_rows_are_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="say different things of cats"):
        corrected(folder, ("cats/0.png", "dogs", "", ""), ("cats/0.png", "", "yes", ""))


def test_a_class_keeps_a_picture(folder: Path) -> None:
    with pytest.raises(SourceError, match="leaves no picture in the class cats"):
        corrected(folder, *((f"cats/{number}.png", "", "yes", "") for number in range(3)))


def test_a_table_without_the_columns_is_refused(folder: Path) -> None:
    table = written(folder.parent / "fixed.csv", ("cats/0.png", "dogs"), heading=("path", "label"))
    with pytest.raises(SourceError, match="corrections need picture, correct_label, leave_out"):
        data.open(folder, read_as={"corrections": table})
    with pytest.raises(SourceError, match="no corrections at"):
        data.open(folder, read_as={"corrections": folder / "none.csv"})

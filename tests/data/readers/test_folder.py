"""Folder layouts, and what is wrong with folders."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.core.preprocess import Preprocess

Draw = Callable[..., Path]


def layout(source: data.Source) -> Counter:
    return Counter((sample.split, source.labels[sample.label]) for sample in source.samples)


def test_class_folders(draw_folder: Draw) -> None:
    root = draw_folder({"dogs": 4, "cats": 3})
    source = data.open(root)
    assert (source.name, source.address) == ("pets", str(root))
    assert source.labels == ("cats", "dogs")
    assert layout(source) == {(None, "cats"): 3, (None, "dogs"): 4}
    assert source.count_by_label() == {"cats": 3, "dogs": 4}
    assert not source.has_splits
    assert source.notes == ()
    assert (source.channels, source.mirrors) == (3, True)
    assert {sample.name for sample in source.samples} == {
        path.relative_to(root).as_posix() for path in root.rglob("*.png")
    }
    assert all(isinstance(s.picture, Path) and s.picture.is_file() for s in source.samples)


@pytest.mark.parametrize("train", ["train", "training", "Train"])
@pytest.mark.parametrize("val", ["val", "valid", "validation", "dev", "VAL"])
@pytest.mark.parametrize("test", ["test", "testing"])
def test_split_folders_and_their_synonyms(draw_folder: Draw, train: str, val: str, test: str) -> None:
    root = draw_folder({f"{train}/a": 3, f"{train}/b": 2, f"{val}/a": 1, f"{val}/b": 2, f"{test}/a": 2, f"{test}/b": 1})
    source = data.open(root)
    expected = {("train", "a"): 3, ("train", "b"): 2, ("val", "a"): 1, ("val", "b"): 2, ("test", "a"): 2}
    assert layout(source) == expected | {("test", "b"): 1}
    assert source.has_splits
    splits = data.split(source)
    assert splits.counts == {"train": 5, "val": 3, "test": 3}
    assert splits.notes == ()


@pytest.mark.parametrize("last", ["val", "test"])
def test_with_one_other_split_a_part_of_training_selects_and_the_other_is_kept_for_the_end(
    draw_folder: Draw, last: str
) -> None:
    root = draw_folder({"train/a": 30, "train/b": 20, f"{last}/a": 4, f"{last}/b": 3})
    splits = data.split(data.open(root))
    assert splits.counts["test"] == 7
    assert all(sample.name.startswith(last) for sample in splits.test)
    assert all(sample.name.startswith("train/") for part in (splits.train, splits.val) for sample in part)
    assert splits.counts["train"] + splits.counts["val"] == 50
    assert {sample.label for sample in splits.val} == {0, 1}
    assert 0 < splits.counts["val"] < 20
    assert ("its val is the test split" in splits.notes) == (last == "val")
    assert any("is the validation split" in note for note in splits.notes)


def test_a_class_may_be_absent_from_a_later_split(draw_folder: Draw) -> None:
    source = data.open(draw_folder({"train/a": 3, "train/b": 3, "val/a": 1, "test/b": 1}))
    assert data.split(source).counts == {"train": 6, "val": 1, "test": 1}


def test_classes_may_hold_folders(draw_folder: Draw) -> None:
    source = data.open(draw_folder({"cats/2023/spring": 2, "cats": 1, "dogs/old": 1}))
    assert source.count_by_label() == {"cats": 3, "dogs": 1}


def test_one_class_may_be_called_train(draw_folder: Draw) -> None:
    source = data.open(draw_folder({"bus": 3, "train": 3, "car": 3}))
    assert source.labels == ("bus", "car", "train")


def test_hidden_folders_are_passed_over_with_a_note_and_what_systems_write_in_silence(draw_folder: Draw) -> None:
    root = draw_folder({"a": 2, "b": 2, ".cache": 3, "a/.mine": 3})
    for path in (root / ".DS_Store", root / "a" / "._picture.jpg"):
        path.write_bytes(b"hidden")
    source = data.open(root)
    assert source.count_by_label() == {"a": 2, "b": 2}
    assert source.notes == ("skipped 2 hidden folders or pictures, such as .cache and a/.mine",)


def test_other_files_are_passed_over_with_a_note(draw_folder: Draw) -> None:
    root = draw_folder({"a": 2, "b": 2})
    (root / "README.txt").write_text("beside the classes, not in one")
    (root / "a" / "labels.csv").write_text("1,2")
    (root / "b" / "Thumbs.db").write_text("x")
    source = data.open(root)
    assert len(source.samples) == 4
    assert source.notes == ("skipped 2 files without the extension of a picture (1 .txt, 1 .csv)",)


def test_extensions_are_read_in_any_case(draw_folder: Draw) -> None:
    root = draw_folder({"a": 2, "b": 2})
    next((root / "a").iterdir()).rename(root / "a" / "PHOTO.PNG")
    assert len(data.open(root).samples) == 4


@pytest.mark.parametrize(("side", "size"), [(8, 32), (30, 32), (45, 32), (50, 64), (64, 64), (65, 224), (300, 224)])
def test_the_input_size_suits_the_pictures(draw_folder: Draw, side: int, size: int) -> None:
    root = draw_folder({"a": 3, "b": 3}, side=side)
    Image.new("RGB", (999, 900)).save(root / "a" / "large.png")  # one odd picture changes nothing
    assert data.open(root).size == size


@pytest.mark.parametrize("spell", [str, Path, lambda path: f"{path}/"])
def test_a_folder_is_opened_however_it_is_spelt(draw_folder: Draw, spell: Callable) -> None:
    root = draw_folder({"a": 2, "b": 2})
    assert data.open(spell(root)) == data.open(root)


def test_the_address_finds_it_from_anywhere(draw_folder: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder({"a": 2, "b": 2})
    monkeypatch.chdir(root.parent)
    address = data.open("pets").address
    monkeypatch.chdir("/")
    assert data.open(address).name == "pets"


def refuse(source: object) -> str:
    with pytest.raises(PennyweightError) as caught:
        data.split(data.open(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_folder_names_the_nearest_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)
    assert "no source 'digit'" in refuse("digit")
    assert "did you mean 'digits'?" in refuse("digit")
    message = refuse(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in message
    assert "digits" in message


def test_a_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"")
    assert "cat.jpg is a file; a source is a folder" in refuse(tmp_path / "cat.jpg")


LAYOUTS = {
    "nothing": ({}, "has no class folders"),
    "an empty class": ({"a": 2, "b": 2, "c": 0}, "c has no pictures"),
    "one class": ({"a": 5}, "at least two classes, found one: 'a'"),
    "one class for training": ({"train/a": 5, "val/a": 5}, "found one: 'a'"),
    "a class that training has not": ({"train/a": 3, "train/b": 3, "val/c": 1}, "c is a class that"),
    "two names of one split": ({"train/a": 3, "train/b": 3, "valid/a": 1, "val/b": 1}, "val and valid"),
    "training without classes": ({"train": 3, "test": 3}, "train has no class folders"),
    "a folder beside splits": ({"train/a": 3, "train/b": 3, "val/a": 2, "extra/c": 1}, "'extra' next to 'train'"),
    "two pictures in a class": ({"a": 9, "b": 2}, "class 'b' of pets has 2 different pictures; it needs at least 3"),
    "one picture to select on": (
        {"train/a": 9, "train/b": 1, "val/a": 1},
        "class 'b' of pets has 1 different picture; it needs at least 2",
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_that_cannot_be_used_is_one_line_that_says_why(tmp_path: Path, draw_folder: Draw, case: str) -> None:
    counts, said = LAYOUTS[case]
    (tmp_path / "pets").mkdir()
    message = refuse(draw_folder(counts))
    assert said in message
    assert "pets" in message


def test_names_that_are_no_utf_8_are_kept_readable(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    next((root / "b").iterdir()).rename(root / "b" / os.fsdecode(b"caf\xe9.png"))
    source = data.open(root)
    assert "b/caf\\xe9.png" in [sample.name for sample in source.samples]
    found = next(sample for sample in source.samples if "caf" in sample.name)
    assert Preprocess.for_input(8)(found.read()).shape == (8, 8, 3)
    assert found.where.encode("utf-8").endswith(b"caf\\xe9.png")
    (root / "b").rename(root / os.fsdecode(b"\xe9"))
    assert "class folder '\\xe9' of" in refuse(root)
    assert "has a name that is not UTF-8" in refuse(root.rename(root.with_name(os.fsdecode(b"\xe9"))))


@pytest.mark.parametrize("inner", [".", "train"])
def test_pictures_beside_class_folders_are_refused(draw_folder: Draw, inner: str) -> None:
    root = draw_folder({"train/a": 2, "train/b": 2, "test/a": 2} if inner == "train" else {"a": 3, "b": 3})
    Image.new("RGB", (9, 9)).save(root / inner / "loose.png")
    assert "has pictures next to its class folders (loose.png)" in refuse(root)


def test_equal_pictures_are_one_picture_when_a_class_is_counted(draw_folder: Draw) -> None:
    root = draw_folder({"a": 9, "b": 1})
    only = next((root / "b").iterdir())
    for number in range(9):
        shutil.copy(only, root / "b" / f"copy-{number}.png")
    assert "class 'b' of pets has 1 different picture" in refuse(root)


@pytest.mark.parametrize("content", [b"text, not a picture", b""])
def test_a_file_that_is_no_picture_shows_when_it_is_decoded(draw_folder: Draw, content: bytes) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "b" / "broken.jpg").write_bytes(content)
    source = data.open(root)
    assert len(source.samples) == 7
    assert source.unreadable == ()


def test_a_file_that_cannot_be_opened_is_named(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "b" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    source = data.open(root)
    assert len(source.samples) == 6
    ((name, reason),) = source.unreadable
    assert name == "b/gone.jpg"
    assert "gone.jpg: No such file" in reason


def test_training_alone_is_divided(draw_folder: Draw) -> None:
    splits = data.split(data.open(draw_folder({"train/a": 20, "train/b": 20})))
    assert min(splits.counts.values()) >= 2
    assert splits.notes[0] == "it has a train split only, which is divided"


def test_folders_under_the_data_folder_are_known_by_name(draw_folder: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder({"a": 2, "b": 2}, name="cats-dogs")
    draw_folder({"a": 2, "b": 2}, name="digits")
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(root.parent))
    monkeypatch.chdir("/")
    source = data.open("cats-dogs")
    assert (source.name, source.address) == ("cats-dogs", "cats-dogs")
    assert len(data.open("digits").samples) == 1797  # a set of that name goes first
    assert "did you mean 'cats-dogs'?" in refuse("cat-dog")
    with pytest.raises(SourceError):
        data.open("zzz")


@pytest.mark.parametrize("value", ["", "/no/such/folder"])
def test_a_data_folder_that_is_not_there_is_no_matter(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PENNYWEIGHT_DATA", value)
    assert data.open("digits").name == "digits"
    assert "no source 'cats-and-dogs'" in refuse("cats-and-dogs")


def test_a_folder_here_goes_before_one_under_the_data_folder(
    draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_folder({"a": 2, "b": 2}, name="shelf/pets")
    draw_folder({"c": 2, "d": 2}, name="pets")
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(tmp_path / "shelf"))
    monkeypatch.chdir(tmp_path)
    assert data.open("pets").labels == ("c", "d")


def test_real_photographs(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(real_data))
    source = data.open("cats-dogs")
    assert source.labels == ("cats", "dogs")
    assert source.size == 224
    assert Counter(sample.split for sample in source.samples) == {"train": 400, "val": 150}
    splits = data.split(source)
    assert splits.counts["test"] == 150
    assert splits.counts["train"] + splits.counts["val"] == 400
    assert 40 < splits.counts["val"] < 80
    from pennyweight.core.preprocess import Preprocess

    pictures = data.Pictures(splits.test[:6], Preprocess.for_input(96))
    pixels = pictures.pixels(np.arange(6))
    assert pixels.shape == (6, 96, 96, 3)
    assert all(picture.std() > 10 for picture in pixels)


def test_later_splits_without_training_are_no_classes(draw_folder: Draw) -> None:
    root = draw_folder({"val/a": 3, "val/b": 3, "test/a": 3, "test/b": 3})
    assert "no train folder" in refuse(root)


def test_a_misspelt_path_names_the_nearest_folder_beside_it(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    assert f"did you mean '{root}'?" in refuse(root.with_name("petss"))


def test_no_name_at_all_is_no_source() -> None:
    assert "no source was named" in refuse("")

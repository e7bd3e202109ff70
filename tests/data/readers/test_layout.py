"""Split folders and class folders, by their names and by what they hold."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.readers.layout import find_split

Draw = Callable[..., Path]
NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def layout(root: Path | str) -> Counter[tuple[str | None, str]]:
    source = data.open(root)
    return Counter((sample.split, source.labels[sample.label]) for sample in source.samples)


def refused(root: Path | str) -> str:
    with pytest.raises(SourceError) as caught:
        data.open(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


NAMES = {
    "train": ["train", "Training", "training_set", "train-set", "TrainSet", "train set", "seg_train", "TRAIN2017",
              "train_images", "trn", "trainval", "TrainingData"],
    "val": ["val", "Valid", "validation_set", "val-images", "dev", "Dev Set", "eval", "evaluation", "valset"],
    "test": ["test", "Testing", "test_set", "testset", "seg-test", "holdout", "hold-out", "Hold Out", "held_out"],
    None: ["cats", "trains", "bullet_train_station", "pred", "seg_pred", "contest", "2017", "latest", "", "set"],
}  # fmt: skip


@pytest.mark.parametrize(("split", "name"), [(split, name) for split, names in NAMES.items() for name in names])
def test_names_of_splits(split: str | None, name: str) -> None:
    assert find_split(name, siblings=[name, "seg_other"] if name.lower().startswith("seg") else ()) == split


def test_words_that_all_names_share_are_passed_over() -> None:
    names = ["birds_train", "birds_test"]
    assert [find_split(name, names) for name in names] == ["train", "test"]
    assert find_split("birds_train") is None
    assert find_split("train", ["train", "train_extra"]) == "train"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("training_set", "test_set", "took test_set as test, training_set as train"),
        ("train", "eval", "took eval as val"),
        ("train", "holdout", "took holdout as test"),
        ("Training", "Testing", None),
        ("flowers-train", "flowers-test", "took flowers-test as test, flowers-train as train"),
    ],
)
def test_splits_of_other_names_are_splits_and_said(draw_folder: Draw, first: str, second: str, said: str) -> None:
    root = draw_folder({f"{split}/{label}": 4 for split in (first, second) for label in "ab"})
    splits = data.split(data.open(root))
    assert splits.counts["test"] == 8
    assert {sample.name.split("/")[0] for sample in splits.test} == {second}
    assert data.open(root).labels == ("a", "b")
    assert data.open(root).notes == ((said,) if said else ())


def test_a_folder_without_classes_beside_splits_is_left_out_and_said(draw_folder: Draw) -> None:
    root = draw_folder({"seg_train/a": 3, "seg_train/b": 3, "seg_test/a": 3, "seg_test/b": 3, "seg_pred": 5})
    assert layout(root) == {("train", "a"): 3, ("train", "b"): 3, ("test", "a"): 3, ("test", "b"): 3}
    assert "left out seg_pred: 5 pictures and no class folders" in data.open(root).notes


@pytest.mark.parametrize("inner", ["seg_pred", "images", "data"])
def test_a_wrapped_folder_without_classes_beside_splits_is_left_out_and_said(draw_folder: Draw, inner: str) -> None:
    folders = [f"seg_{split}/seg_{split}/{label}" for split in ("train", "test") for label in "ab"]
    root = draw_folder(dict.fromkeys([*folders, f"seg_pred/{inner}"], 3))
    assert layout(root) == {("train", "a"): 3, ("train", "b"): 3, ("test", "a"): 3, ("test", "b"): 3}
    assert "left out seg_pred: 3 pictures and no class folders" in data.open(root).notes


@pytest.mark.parametrize("other", ["unlabeled", "extra/a", "pred/a"])
def test_training_beside_what_is_no_split_is_refused(draw_folder: Draw, other: str) -> None:
    root = draw_folder({"train/a": 3, "train/b": 3, other: 3})
    message = refused(root)
    assert f"has train with the folders a, b next to {other.split('/')[0]}" in message
    assert message.endswith(f"if all are classes, name the source classes:{root}")
    assert data.open(f"classes:{root}").labels == tuple(sorted(("train", other.split("/")[0])))


def test_vehicles_may_hold_folders(draw_folder: Draw) -> None:
    root = draw_folder({"train/steam": 3, "train/diesel": 3, "bus/city": 3, "bus/tour": 3})
    assert data.open(root).labels == ("bus", "train")


def test_a_test_split_without_labels_is_left_out_and_said(draw_folder: Draw) -> None:
    root = draw_folder({"train/a": 3, "train/b": 3, "test": 4})
    assert layout(root) == {("train", "a"): 3, ("train", "b"): 3}
    assert data.open(root).notes == ("left out test: 4 pictures and no class folders",)


SAME = {
    "splits of unknown names": ("monday", "tuesday"),
    "numbered folds": ("fold1", "fold2", "fold3"),
    "classes with the same folders": ("cats", "dogs"),
}


@pytest.mark.parametrize("case", SAME)
def test_folders_of_the_same_names_are_refused_until_it_is_said_what_they_are(draw_folder: Draw, case: str) -> None:
    tops = SAME[case]
    root = draw_folder({f"{top}/{inner}": 3 for top in tops for inner in ("indoor", "outdoor")})
    message = refused(root)
    assert f"{root} has the folders {', '.join(tops)}, and each holds folders of the same names" in message
    assert message.endswith(f"name the source classes:{root}")
    source = data.open(f"classes:{root}")
    assert source.labels == tuple(sorted(tops))
    assert data.open(source.address) == source  # evaluate and export find it again
    assert not source.has_splits
    for old, new in zip(tops, ("val", "train", "test"), strict=False):
        (root / old).rename(root / f"x{old}")
        (root / f"x{old}").rename(root / new)
    assert data.open(root).labels == ("indoor", "outdoor")


def test_a_class_that_one_of_them_lacks_is_no_proof(draw_folder: Draw) -> None:
    folders = [f"one/{label}" for label in "abc"] + [f"two/{label}" for label in "ab"]
    assert "each holds folders of the same names (a, b, c)" in refused(draw_folder(dict.fromkeys(folders, 3)))


@pytest.mark.parametrize(
    "folders",
    [
        ("apple/healthy", "apple/scab", "corn/healthy", "corn/rust"),  # other folders
        ("cats/2023", "dogs/2023"),  # a single one would be a single class
        ("cats/a", "cats/b", "dogs"),
        tuple(f"c{number}/{side}" for number in range(20) for side in ("left", "right")),  # too many for splits
    ],
)
def test_classes_may_hold_folders_of_some_same_names(draw_folder: Draw, folders: tuple[str, ...]) -> None:
    root = draw_folder(dict.fromkeys(folders, 2))
    assert data.open(root).labels == tuple(sorted({name.split("/")[0] for name in folders}))


def test_splits_within_each_class_are_splits(draw_folder: Draw) -> None:
    root = draw_folder(
        {"cats/train": 4, "cats/test": 2, "dogs/train": 3, "dogs/test": 2, "cows/train": 2, "cows/val": 1}
    )
    assert layout(root)["train", "cats"] == 4
    assert layout(root)["test", "dogs"] == 2
    assert layout(root)["val", "cows"] == 1
    assert "each class folder" in data.open(root).notes[0]


@pytest.mark.parametrize("above", ["photos", "photos/photos", "data/images"])
@pytest.mark.parametrize("inner", [("cats", "dogs"), ("train/cats", "train/dogs", "test/cats", "test/dogs")])
def test_a_folder_wrapped_too_often_is_entered_and_said(draw_folder: Draw, above: str, inner: tuple[str, ...]) -> None:
    root = draw_folder({f"{above}/{name}": 3 for name in inner})
    (root / "README.txt").write_text("of the photos")
    source = data.open(root)
    assert source.labels == ("cats", "dogs")
    assert source.has_splits == (len(inner) == 4)
    assert source.notes[0] == f"entered {above}: it is all that {root} holds"
    assert (source.name, source.address) == (root.name, str(root))


def test_a_split_wrapped_too_often_is_entered_and_said(draw_folder: Draw) -> None:
    root = draw_folder({"train/train/a": 3, "train/train/b": 3, "val/images/a": 2, "test/a": 2})
    assert layout(root) == {("train", "a"): 3, ("train", "b"): 3, ("val", "a"): 2, ("test", "a"): 2}
    assert "entered train/train, which is all that train holds" in data.open(root).notes


def test_a_table_in_a_wrapped_folder_is_read(draw_folder: Draw) -> None:
    root = draw_folder({"inner/pictures": 4})
    names = sorted(path.name for path in (root / "inner" / "pictures").iterdir())
    rows = "".join(f"pictures/{name},{'ab'[number % 2]}\n" for number, name in enumerate(names))
    (root / "inner" / "labels.csv").write_text("path,label\n" + rows)
    assert data.open(root).labels == ("a", "b")
    assert data.open(root).notes[0].startswith("entered inner: ")


def test_a_class_folder_alone_is_not_entered(draw_folder: Draw) -> None:
    assert "needs at least two classes, found one: 'cats'" in refused(draw_folder({"cats": 3}))


def test_system_folders_are_no_classes(draw_folder: Draw) -> None:
    root = draw_folder({"cats": 3, "dogs": 3, "@eaDir": 2, "__MACOSX/cats": 2, "lost+found": 1, "cats/@eaDir/x": 3})
    assert layout(root) == {(None, "cats"): 3, (None, "dogs"): 3}
    (note,) = data.open(root).notes
    assert note.startswith("skipped 4 system folders, such as ")


def test_system_folders_of_an_archive_are_no_data(draw_folder: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(
        {"pets/cats": 3, "pets/dogs": 3, "pets/cats/@eaDir": 2, "pets/.ipynb_checkpoints": 1, "__MACOSX": 1}
    )
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(root.parent / "cache"))
    shutil.make_archive(str(root), "zip", root)
    source = data.open(f"{root}.zip")
    assert source.count_by_label() == {"cats": 3, "dogs": 3}
    assert any("system folders, such as " in note for note in source.notes)


def test_every_refusal_is_collected_and_the_rest_is_read(draw_folder: Draw) -> None:
    root = draw_folder({"cats": 3, "dogs": 3, ".": 1})
    (root / "cows").mkdir()
    (root / "owls").symlink_to("/nowhere/owls")
    assert "; and 2 more: `pennyweight doctor` lists all" in refused(root)
    source = data.open(root, strict=False)
    assert len(source.samples) == 6
    assert [line.split(" ")[0] for line in source.refusals] == [str(root), "class", "cannot"]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """`closed(folder)`: it may not be listed, as another user's is; the tests may run as root."""
    scan = os.scandir

    def close(folder: Path) -> None:
        def refuse(path: Path) -> object:
            if Path(path) == folder:
                raise PermissionError(13, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr("pennyweight.core.walk.os.scandir", refuse)

    return close


def test_a_folder_within_a_class_that_may_not_be_listed_is_named(draw_folder: Draw, closed: Callable) -> None:
    root = draw_folder({"cats": 3, "dogs": 3, "cats/trip": 2})
    closed(root / "cats" / "trip")
    source = data.open(root)
    assert source.count_by_label() == {"cats": 3, "dogs": 3}
    assert source.unreadable == (("cats/trip", "the folder cannot be listed: Permission denied"),)
    (finding,) = diagnose(source, quick=True).of("unreadable")
    assert finding == ("unreadable", ("cats/trip",), "the folder cannot be listed: Permission denied")


@pytest.mark.parametrize("inner", ["cats", "train/cats", ""])
def test_a_class_folder_that_may_not_be_listed_is_refused(draw_folder: Draw, closed: Callable, inner: str) -> None:
    above = "train/" if "/" in inner else ""
    root = draw_folder({f"{above}cats": 3, f"{above}dogs": 3, f"{above}cows": 3})
    closed(root / inner)
    assert f"{root / inner}: the folder cannot be listed: Permission denied" in refused(root)


@pytest.mark.parametrize("name", ["table.csv", "pets.zip", "a.npz", "rows.parquet", "shard.tar"])
def test_a_pipe_is_no_source_and_is_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "it is a pipe, not a file" in refused(tmp_path / name)


def test_groups_and_labels_of_names_are_compared_composed(draw_folder: Draw) -> None:
    root = draw_folder({f"cats/{NFD}": 3, f"dogs/{NFD}": 3, "cats/bar": 3, "dogs/bar": 3})
    source = data.open(f"classes:{root}", group_by=f"({NFC}|bar)")
    assert {sample.group for sample in source.samples} == {NFC, "bar"}


def test_names_of_classes_are_compared_composed(draw_folder: Draw) -> None:
    root = draw_folder({f"train/{NFD}": 3, "train/bar": 3, f"val/{NFC}": 2, "val/bar": 2})
    assert data.open(root).labels == ("bar", NFC)
    assert layout(root)["val", NFC] == 2


def test_the_same_name_twice_is_one_class_and_said(draw_folder: Draw) -> None:
    root = draw_folder({NFD: 3, NFC: 2, "bar": 3})
    if len(list(root.iterdir())) < 3:
        pytest.skip("this file system composes names itself")
    assert layout(root) == {(None, NFC): 5, (None, "bar"): 3}
    assert "both are that class" in data.open(root).notes[0]


def test_tables_and_paths_are_compared_composed(draw_folder: Draw) -> None:
    root = draw_folder({f"pictures/{NFD}": 4}, name=f"{NFD}-set")
    names = sorted(path.name for path in (root / "pictures" / NFD).iterdir())
    labels = [NFC, NFD, "bar", "bar"]
    rows = [f"pictures/{NFC}/{name},{label}\n" for name, label in zip(names, labels, strict=True)]
    (root / "labels.csv").write_text("path,label\n" + "".join(rows), encoding="utf-8")
    source = data.open(root.with_name(f"{NFC}-set"))
    assert source.labels == ("bar", NFC)
    assert source.count_by_label() == {"bar": 2, NFC: 2}
    assert source.unreadable == ()


def test_a_table_finds_pictures_whose_names_are_stored_decomposed(draw_folder: Draw) -> None:
    root = draw_folder({NFD: 3, "bar": 3})
    rows = [
        f"{label}/{file.name},{label}"
        for label, folder in ((NFC, NFD), ("bar", "bar"))
        for file in sorted((root / folder).iterdir())
    ]
    (root / "labels.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    assert data.open(root).count_by_label() == {"bar": 3, NFC: 3}


def test_system_folders_beside_the_only_folder_are_told_of(draw_folder: Draw) -> None:
    root = draw_folder({"pets/cats": 3, "pets/dogs": 3, "$RECYCLE.BIN": 1})
    assert "skipped 1 system folder, such as $RECYCLE.BIN" in data.open(root).notes

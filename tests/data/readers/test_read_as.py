"""Tables as Kaggle and Hugging Face have them, labels in file names, and tables that are none."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.labels import read_class_names

BREEDS = ("beagle", "poodle")


def draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """train.csv with ids, train/ID.png, test/ID.png without labels."""
    rows = ["id,breed"]
    for number in range(12):
        draw(tmp_path / "train" / f"{number:04d}.png", number)
        rows.append(f"{number:04d},{BREEDS[number % 2]}")
    draw(tmp_path / "test" / "9999.png", 99)
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


READ: dict[str, Any] = {"columns": {"path": "id", "label": "breed"}, "ending": ".png"}


@pytest.mark.parametrize("name", ["", "train.csv"])
@pytest.mark.parametrize("ending", [".png", "png", ".PNG"])
def test_a_table_of_kaggle_is_read_as_it_is(kaggle: Path, name: str, ending: str) -> None:
    if ending == ".PNG":
        for path in (kaggle / "train").iterdir():
            path.rename(path.with_suffix(".PNG"))
    read_as = {**READ, "pictures": kaggle / "train", "ending": ending}
    source = data.open(kaggle / name, read_as=read_as)
    assert source.count_by_label() == {"beagle": 6, "poodle": 6}
    assert data.open(source.address, read_as=source.read_as) == source
    assert json.loads(json.dumps(source.read_as)) == source.read_as


def test_the_folder_of_pictures_may_lie_beside_the_table_and_in_an_archive(
    kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    reading = {**READ, "pictures": "train"}
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as packed:
        for path in (kaggle / "train.csv", *sorted((kaggle / "train").iterdir())):
            packed.write(path, path.relative_to(kaggle))
    for name in ("train.csv", "pets.zip"):
        source = data.open(kaggle / name, read_as=reading)
        assert len(source.samples) == 12
        assert data.open(source.address, read_as=source.read_as) == source
    with pytest.raises(SourceError, match="leads out of its archive"):
        data.open(tmp_path / "pets.zip", read_as={**READ, "pictures": kaggle / "train"})


def test_folders_that_are_no_classes_are_not_taken_for_them(kaggle: Path) -> None:
    """train/ and test/ would be two classes; the table says that they are none."""
    (kaggle / "train").rename(kaggle / "train_images")
    (kaggle / "test").rename(kaggle / "test_images")
    text = (kaggle / "train.csv").read_text().replace("breed", "label")
    (kaggle / "train.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"not next to it, .* try --pictures {kaggle}/train_images --ending \.png"):
        data.open(kaggle)
    spaced = text.replace("id,label", " id , label ")
    (kaggle / "train.csv").write_text(spaced)
    reading = {"columns": {"path": "id", "label": "label"}, "pictures": "train_images", "ending": ".png"}
    assert len(data.open(kaggle, read_as=reading).samples) == 12


def test_a_folder_without_classes_and_with_another_table_says_both(kaggle: Path) -> None:
    (kaggle / "train.csv").rename(kaggle / "results.csv")
    with pytest.raises(
        SourceError, match=r"its table gives no classes either: .*results\.csv has the columns id, breed"
    ):
        data.open(kaggle)


def test_a_table_that_does_not_fit_says_what_would(kaggle: Path) -> None:
    with pytest.raises(SourceError, match=r"has the columns id, breed; .* --columns path=NAME,label=NAME"):
        data.open(kaggle)
    with pytest.raises(SourceError, match=rf"try --pictures {kaggle / 'train'} --ending \.png"):
        data.open(kaggle, read_as={"columns": READ["columns"]})
    with pytest.raises(SourceError, match=r"no column 'bred'; did you mean 'breed'"):
        data.open(kaggle, read_as={"columns": {"path": "id", "label": "bred"}})


@pytest.mark.parametrize(
    ("read_as", "said"),
    [
        ({"columns": {"paths": "id"}}, "columns name .*, not 'paths'"),
        ({**READ, "pictures": "/nowhere"}, "there is none at /nowhere, here or next to"),
        ({"label_from": "("}, "no regular expression"),
        ({"label_from": "cat"}, "0 groups in place of one"),
        ({"label": "x"}, "read_as has no field 'label'"),
        ("columns", "read_as is a mapping"),
    ],
)
def test_what_reading_cannot_be(kaggle: Path, read_as: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        data.open(kaggle, read_as=read_as)


def test_reading_is_for_tables_and_folders(kaggle: Path, draw_folder: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="ending belongs to a table or a folder, which digits is not"):
        data.open("digits", read_as={"ending": ".png"})
    with pytest.raises(SourceError, match="has no table, or several, and ending belong to one"):
        data.open(draw_folder({"cats": 2, "dogs": 2}), read_as={"ending": ".png"})


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("splits", [("train",), ("train", "test"), ("train", "validation", "test")])
def test_the_layout_of_hugging_face(tmp_path: Path, form: str, splits: tuple[str, ...]) -> None:
    for split in splits:
        rows: list[dict[str, str]] = []
        for number in range(6):
            draw(tmp_path / split / "images" / f"{number}.png", number + 100 * len(split))
            rows.append({"file_name": f"images/{number}.png", "label": BREEDS[number % 2]})
        lines = [json.dumps(row) for row in rows]
        if form == "csv":
            lines = ["file_name,label", *(",".join(row.values()) for row in rows)]
        (tmp_path / split / f"metadata.{form}").write_text("\n".join(lines) + "\n")
    source = data.open(tmp_path)
    known = {"train": "train", "validation": "val", "test": "test"}
    assert Counter(sample.split for sample in source.samples) == {known[split]: 6 for split in splits}
    assert source.labels == BREEDS
    assert "train/images/0.png" in {sample.name for sample in source.samples}


def test_a_table_of_json_lines_beside_its_pictures(tmp_path: Path) -> None:
    rows = []
    for number in range(4):
        draw(tmp_path / f"{number}.png", number)
        rows.append(json.dumps({"file_name": f"{number}.png", "label": number % 2, "caption": "a, b"}))
    (tmp_path / "metadata.jsonl").write_text("\ufeff" + "\n\n".join(rows), encoding="utf-8")
    assert data.open(tmp_path).count_by_label() == {"0": 2, "1": 2}
    for line, said in (("{", "no JSON: "), ("[1]", "no JSON object")):
        (tmp_path / "metadata.jsonl").write_text(f"{rows[0]}\n{line}\n")
        with pytest.raises(SourceError, match=f"line 2 of .* is {said}"):
            data.open(tmp_path / "metadata.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", "ClassId,Name\n0,Speed limit\n1,Stop\n", "has no columns of paths and labels (ClassId, Name)"),
        ("labels.csv", "id,label\n0,Speed limit\n1,Stop\n", "labels.csv lists exists, such as 0"),
        ("train.csv", "", "train.csv has no rows"),
        ("metadata.jsonl", "no json\n", "is no JSON"),
        ("metadata.csv", "path,label\n\xe9.png,0\n", "another encoding than UTF-8"),
        ("metadata.csv", "\xff\xfea\0", "UTF-16"),
    ],
)
def test_a_table_that_is_no_manifest_does_not_hide_class_folders(
    draw_folder: Callable[..., Path], name: str, content: str, said: str
) -> None:
    root = draw_folder({"0": 3, "1": 4})
    (root / name).write_text(content, encoding="latin-1")
    source = data.open(root)
    assert source.count_by_label() == {"0": 3, "1": 4}
    assert said in source.notes[0]
    assert source.notes[0].startswith("skipped a table: ")


def test_a_table_that_lists_what_is_in_class_folders_counts(draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"0": 3, "1": 4})
    paths = sorted(path.relative_to(root) for path in root.rglob("*.png"))
    rows = "".join(f"{path},all {number % 2}\n" for number, path in enumerate(paths))
    (root / "labels.csv").write_text("path,label\n" + rows)
    assert data.open(root).labels == ("all 0", "all 1")
    (root / "metadata.csv").write_text("path,label\n" + rows)
    with pytest.raises(SourceError, match=r"has labels\.csv and metadata\.csv, which all list its pictures"):
        data.open(root)


@pytest.mark.parametrize(
    ("start", "delimiter"),
    [("", ";"), ("", "\t"), ("", "|"), ("", ","), ("sep=;\n", ";"), ('"sep=;"\r\n', ";"), ("sep=,\n", ",")],
)
def test_any_delimiter(kaggle: Path, delimiter: str, start: str) -> None:
    rows = "".join(f"train/{number:04d}.png{delimiter}{BREEDS[number % 2]}\n" for number in range(12))
    heading = f'path{delimiter}label{delimiter}"a, b; c|d"\n'
    (kaggle / "list.csv").write_text("\ufeff" + start + heading + rows, encoding="utf-8")
    assert data.open(kaggle / "list.csv").count_by_label() == {"beagle": 6, "poodle": 6}


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("cp1252", "such as cp1252")]
)
@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_other_encodings_are_one_line(tmp_path: Path, encoding: str, said: str, ending: str) -> None:
    text = "path,label\na.png,café\n" if ending == ".csv" else '{"path": "a.png", "label": "café"}\n'
    (tmp_path / f"list{ending}").write_text(text, encoding=encoding)
    with pytest.raises(SourceError, match=f"{said}; save it as UTF-8") as caught:
        data.open(tmp_path / f"list{ending}")
    assert "\n" not in str(caught.value)


def test_a_mark_at_the_start_is_no_part_of_the_first_label(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\ufeffcat\ndog\n", encoding="utf-8")
    assert read_class_names(tmp_path / "labels.txt") == ("cat", "dog")
    (tmp_path / "labels.txt").write_text("cat\ndog\n", encoding="utf-16")
    with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
        read_class_names(tmp_path / "labels.txt")


def test_a_table_without_a_heading_says_so(kaggle: Path) -> None:
    (kaggle / "list.csv").write_text("train/0000.png,beagle\ntrain/0001.png,poodle\n")
    with pytest.raises(SourceError, match="its first line is no heading"):
        data.open(kaggle / "list.csv")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for number in range(8):
        draw(tmp_path / "flat" / f"{('cat', 'dog')[number % 2]}.{number}.png", number)
    return tmp_path / "flat"


def test_labels_from_file_names(flat: Path) -> None:
    draw(flat / "0.png", 50)
    source = data.open(flat, read_as={"label_from": "^([a-z]+)"})
    assert source.count_by_label() == {"cat": 4, "dog": 4}
    assert source.notes == (
        "labels are the matches of '^([a-z]+)' in the names of files: 2 classes",
        "left out 1 picture whose name holds no label, such as 0.png",
    )
    with pytest.raises(SourceError, match=r"finds no label in the pictures of .*flat, such as 0\.png"):
        data.open(flat, read_as={"label_from": "(ferret)"})


def test_labels_from_file_names_in_split_folders_and_tables(flat: Path) -> None:
    for split in ("train", "test"):
        for path in sorted(flat.glob("*.png")):
            target = flat.parent / "both" / split / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    source = data.open(flat.parent / "both", read_as={"label_from": "([a-z]+)[.][0-9]+"})
    assert Counter(sample.split for sample in source.samples) == {"train": 8, "test": 8}
    (flat / "list.csv").write_text("path\n" + "".join(f"{path.name}\n" for path in sorted(flat.glob("*.png"))))
    assert data.open(flat / "list.csv", read_as={"label_from": "^([a-z]+)"}).labels == ("cat", "dog")


def test_parquet_with_columns_of_other_names(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    pictures = []
    for number in range(6):
        draw(tmp_path / "a.png", number)
        pictures.append((tmp_path / "a.png").read_bytes())
    table = pyarrow.table({"scan": pictures, "mask": pictures, "kind": list("ababab")})
    parquet.write_table(table, tmp_path / "rows.parquet")
    read_as = {"columns": {"picture": "scan", "label": "kind"}}
    source = data.open(tmp_path / "rows.parquet", read_as=read_as)
    assert source.labels == ("a", "b")
    assert source.read_as == read_as

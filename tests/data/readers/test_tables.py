"""Manifests, Parquet files and arrays as sources; groups."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.preprocess import Preprocess

Draw = Callable[..., Path]


def layout(source: data.Source) -> Counter:
    return Counter((sample.split, source.labels[sample.label]) for sample in source.samples)


def listed(root: Path, heading: str = "path,label,split", separator: str = ",") -> str:
    """A table of a drawn folder: a row for each picture, of split train or test in turn."""
    rows = [
        separator.join((path.relative_to(root).as_posix(), path.parent.name, ("train", "test")[number % 2]))
        for number, path in enumerate(sorted(root.rglob("*.png")))
    ]
    columns = heading.count(",") + 1
    rows = [separator.join(row.split(separator)[:columns]) for row in rows]
    return "\n".join([heading.replace(",", separator), *rows]) + "\n"


@pytest.mark.parametrize(("name", "separator"), [("list.csv", ","), ("list.csv", ";"), ("list.tsv", "\t")])
@pytest.mark.parametrize("heading", ["path,label,split", "Filename,Class,Subset", "image,target"])
def test_a_table_of_paths(draw_folder: Draw, name: str, separator: str, heading: str) -> None:
    root = draw_folder({"cats": 6, "dogs": 4})
    (root / name).write_text(listed(root, heading, separator), encoding="utf-8-sig")
    source = data.open(root / name)
    assert source.name == "list"
    assert source.count_by_label() == {"cats": 6, "dogs": 4}
    assert source.has_splits == (heading.count(",") == 2)
    assert data.open(source.address) == source
    if not source.has_splits:
        assert source.fingerprint == data.open(root).fingerprint


def test_a_parquet_table_of_paths(draw_folder: Draw) -> None:
    root = draw_folder({"cats": 6, "dogs": 4})
    paths = sorted(root.rglob("*.png"))
    table = {"path": [str(path) for path in paths], "label": [path.parent.name for path in paths]}
    pq.write_table(pa.table(table), root / "list.parquet")
    assert data.open(root / "list.parquet").fingerprint == data.open(root).fingerprint


def test_a_folder_with_a_manifest_is_what_the_manifest_says(draw_folder: Draw) -> None:
    root = draw_folder({"pictures": 6})
    names = sorted(path.name for path in (root / "pictures").iterdir())
    rows = [f"pictures/{name},{'ab'[number % 2]}" for number, name in enumerate(names)]
    (root / "labels.csv").write_text("\n".join(["file_name,label", *rows]))
    assert data.open(root).count_by_label() == {"a": 3, "b": 3}


def test_a_table_that_windows_made_is_read_elsewhere(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "list.csv").write_text(listed(root, "path,label").replace("/", "\\"))
    assert data.open(root / "list.csv").count_by_label() == {"a": 3, "b": 3}


def test_empty_cells_behind_the_last_column_mean_nothing(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "list.csv").write_text(listed(root, "path,label").replace("\n", ",,\n").replace(",,", "", 1))
    assert data.open(root / "list.csv").count_by_label() == {"a": 3, "b": 3}


def test_files_that_are_not_there_are_named(draw_folder: Draw) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "list.csv").write_text(listed(root, "path,label") + "a/gone.png,a\n")
    source = data.open(root / "list.csv")
    assert len(source.samples) == 6
    assert source.unreadable[0].name == "a/gone.png"


TABLES = {
    "no label": ("path,size\na.png,3\n", "has the columns path, size"),
    "an empty label": ("path,label\na.png,\n", "line 2 of .* has no label"),
    "an unknown split": ("path,label,split\na.png,x,later\n", "of the split 'later'"),
    "a split for some": ("path,label,split\na.png,x,train\nb.png,y,\n", "some of its rows a split"),
    "nothing": ("path,label\n", "lists no pictures"),
    "nothing that is there": ("path,label\nx.png,x\ny.png,y\n", "none of them is there"),
    "numbers that are none": ("path,label\nx.png,--1\ny.png,²\n", "none of them is there"),
    "a comma without quotes": ("path,label\na.png,x\nb.png,x, y\n", "line 3 of .* has more cells than the heading"),
    "more cells at once": ("path,label\na.png,x,y\n", "line 2 of .* has more cells than the heading"),
    "a class that is not there": (
        "path,label\nlist.csv,x\nlist.csv,y\ngone.png,z\n",
        "class 'z' .* the first lost is gone",
    ),
    "names that no file has": ("path,label\na\0b.png,x\n", "line 2 of .* has a path with a zero byte"),
    "long numbers": (f"path,label\nx.png,{'9' * 5000}\ny.png,1\n", "none of them is there"),
    "no text": (b"path,label\n\xff\xfe\x00,1\n", "cannot read .* as a table"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_used_is_one_line_that_says_why(tmp_path: Path, case: str) -> None:
    content, said = TABLES[case]
    path = tmp_path / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=said):
        data.open(path)


def pictures_table(count: int, first: int = 0, **columns: list) -> pa.Table:
    def content(seed: int) -> bytes:
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(file, "PNG")
        return file.getvalue()

    pictures = [{"bytes": content(seed), "path": None} for seed in range(first, first + count)]
    return pa.table({"image": pictures, "label": [seed % 2 for seed in range(count)]} | columns)


def test_parquet_files_with_pictures(tmp_path: Path) -> None:
    shelf = tmp_path / "set"
    shelf.mkdir()
    names = b'{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'
    for name, count, first in (("train-00000-of-00002", 25, 0), ("train-00001-of-00002", 25, 25), ("test-0", 7, 50)):
        table = pictures_table(count, first).replace_schema_metadata({b"huggingface": names})
        pq.write_table(table, shelf / f"{name}.parquet", row_group_size=10)
    source = data.open(shelf)
    assert source.labels == ("cat", "dog")
    assert layout(source) == {("train", "cat"): 26, ("train", "dog"): 24, ("test", "cat"): 4, ("test", "dog"): 3}
    pixels = data.Pictures(source.samples, Preprocess.for_input(9)).pixels(np.arange(57))
    expected = np.random.default_rng(33).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    assert np.array_equal(pixels[7 + 33], expected[:, 2:11])  # the 7 of test-0 come first
    alone = data.open(shelf / "test-0.parquet")
    assert [sample.digest for sample in alone.samples] == [s.digest for s in source.samples if s.split == "test"]


def test_parquet_columns_for_split_and_group(tmp_path: Path) -> None:
    table = pictures_table(
        40, split=["train"] * 30 + ["validation"] * 10, patient=[number // 5 for number in range(40)]
    )
    pq.write_table(table, tmp_path / "set.parquet")
    source = data.open(tmp_path / "set.parquet", group_by="patient")
    assert Counter(sample.split for sample in source.samples) == {"train": 30, "val": 10}
    assert len({sample.group for sample in source.samples}) == 8


def test_what_has_no_group_stays_with_nothing_and_what_has_no_label_is_named(tmp_path: Path) -> None:
    patients = ["one", "one", "", None, *[str(number) for number in range(36)]]
    pq.write_table(pictures_table(40, patient=patients), tmp_path / "set.parquet")
    source = data.open(tmp_path / "set.parquet", group_by="patient")
    assert [sample.group for sample in source.samples[:4]] == ["one", "one", None, None]
    assert "37 groups stay together (patient)" in source.notes
    pq.write_table(pictures_table(4, label=["cat", None, "dog", "dog"]), tmp_path / "null.parquet")
    lacking = data.open(tmp_path / "null.parquet")
    assert [each.reason for each in lacking.unreadable] == ["null.parquet:00000:000001 has no class"]
    assert len(lacking.samples) == 3


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pictures_table(40), tmp_path / "set.parquet")
    content = (tmp_path / "set.parquet").read_bytes()
    (tmp_path / "set.parquet").write_bytes(content[:-100])
    with pytest.raises(SourceError, match=r"set\.parquet as a Parquet file"):
        data.open(tmp_path / "set.parquet")


@pytest.mark.parametrize("table", ["pictures", "paths"])
def test_parquet_that_is_damaged_within_is_named(tmp_path: Path, table: str) -> None:
    paths = pa.table({"path": [f"{number}.png" for number in range(40)], "label": [0, 1] * 20})
    pq.write_table(pictures_table(40) if table == "pictures" else paths, tmp_path / "set.parquet")
    content = bytearray((tmp_path / "set.parquet").read_bytes())
    content[8:200] = bytes(byte ^ 0x55 for byte in content[8:200])  # the footer stays
    (tmp_path / "set.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"set\.parquet as a Parquet file"):
        data.open(tmp_path / "set.parquet")


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_arrays_with_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    draw = np.random.default_rng(0)
    values = (
        draw.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8),
        np.arange(20)[:, None] % 3,
        draw.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        np.arange(6) % 3,
    )
    np.savez(tmp_path / "set.npz", **dict(zip(names, values, strict=True)))
    source = data.open(tmp_path / "set.npz")
    assert source.labels == ("0", "1", "2")
    assert Counter(sample.split for sample in source.samples) == {"train": 20, "test": 6}
    assert (source.channels, source.size) == (3, 32)
    assert np.array_equal(source.samples[3].picture, values[0][3])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.zeros(3)}, "has the arrays a"),
        (
            {"images": np.zeros((3, 4, 4), np.uint8), "labels": np.zeros(2, int)},
            r"3 pictures and labels of shape \(2,\)",
        ),
        ({"images": np.array([{}]), "labels": np.zeros(1)}, "images of .* holds Python objects"),
    ],
)
def test_arrays_that_cannot_be_used_are_one_line(tmp_path: Path, arrays: dict, said: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(SourceError, match=said) as caught:
        data.open(tmp_path / "set.npz")
    assert "\n" not in str(caught.value)


def test_arrays_that_are_a_bomb_are_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((300, 512, 512), np.uint8), labels=np.arange(300) % 2)
    with pytest.raises(SourceError, match="more than 200 times as many"):
        data.open(tmp_path / "bomb.npz")


def test_arrays_whose_heading_says_more_than_there_is_are_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as packed:
        for name in ("images", "labels"):
            heading = io.BytesIO()
            values = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**6)}
            np.lib.format.write_array_header_1_0(heading, values)
            packed.writestr(f"{name}.npy", heading.getvalue() + bytes(100))
    with pytest.raises(SourceError, match=r"cannot read .*lies\.npz as arrays"):
        data.open(tmp_path / "lies.npz")


def test_groups_by_a_part_of_the_name_stay_together(draw_folder: Draw) -> None:
    root = draw_folder({"a": 60, "b": 60})
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"patient{number % 20:02d}-{number}.png"))
    source = data.open(root, group_by="(patient[0-9]+)")
    assert source.notes == ("20 groups stay together ((patient[0-9]+))",)
    splits = data.split(source)
    sides = [{sample.group for sample in splits[name]} for name in data.SPLITS]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_groups_by_folder_and_what_groups_nothing(draw_folder: Draw) -> None:
    root = draw_folder({f"{label}/film-{number}": 3 for label in "ab" for number in range(8)})
    splits = data.split(data.open(root, group_by="folder"))
    by_folder = [{sample.name.rpartition("/")[0] for sample in splits[name]} for name in data.SPLITS]
    assert sum(map(len, by_folder)) == 16
    for group_by, said in (("(x", "no regular expression"), ("patient", "is no column"), ("(patient)", "no group")):
        with pytest.raises(InputError, match=said):
            data.open(f"classes:{root}", group_by=group_by)


@pytest.mark.slow
def test_real_parquet(real_data: Path) -> None:
    source = data.open(real_data / "cifar10-lossless")
    assert source.labels[:3] == ("airplane", "automobile", "bird")
    assert Counter(sample.split for sample in source.samples) == {"train": 4000, "test": 1000}
    assert (source.size, source.channels) == (32, 3)

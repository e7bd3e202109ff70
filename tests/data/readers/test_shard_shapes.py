"""Shards as people pack them: taken, with a note, or refused in one line with the true reason."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError

NAMES = ("dark", "bright")
SPLITS = {"train": range(14), "val": range(14, 17), "test": range(17, 20)}
Members = list[tuple[str, bytes]]
Sample = Callable[[str, int, bytes], Members]


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (10 * number, 40 * (number % 2), 0)).save(file, "PNG")
    return file.getvalue()


PICTURES = [(f"{number:04d}", number % 2, jpeg(number)) for number in range(20)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


def tar(path: Path, members: Iterable[tuple[str, bytes]], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as file:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))


def shards(folder: Path, sample: Sample, ending: str = "tar", mode: str = "w") -> Path:
    for split, numbers in SPLITS.items():
        tar(
            folder / f"{split}-0.{ending}",
            [member for number in numbers for member in sample(*PICTURES[number])],
            mode,
        )
    return folder


def number(label: int) -> bytes:
    return str(label).encode()


def plain(name: str, label: int, picture: bytes) -> Members:
    return [(f"s{name}.jpg", picture), (f"s{name}.cls", number(label))]


TAKEN: dict[str, tuple[Sample, tuple[str, ...], str]] = {
    "periods": (
        lambda n, k, c: [(f"IMG v2.0.{n}.jpg", c), (f"IMG v2.0.{n}.cls", number(k))], ("0", "1"), ""
    ),
    "periods, the class first": (
        lambda n, k, c: [(f"a/IMG v2.0.{n}.cls", number(k)), (f"a/IMG v2.0.{n}.JPG", c)], ("0", "1"), ""
    ),
    "periods in class folders": (
        lambda n, k, c: [(f"{NAMES[k]}/IMG v2.0.{n}.jpg", c)], ("bright", "dark"), "its folder in the shard"
    ),
    "fields": (
        lambda n, k, c: [(f"s{n}.input.jpg", c), (f"s{n}.output.cls", number(k))],
        ("0", "1"),
        "picture from input.jpg, class from output.cls, in 20 samples",
    ),
    "a second picture with a longer name": (
        lambda n, k, c: [(f"s{n}.cls", number(k)), (f"s{n}.jpg", c), (f"s{n}.thumb.jpg", c[::-1])],
        ("0", "1"),
        "picture from jpg, in 20 samples",
    ),
    "features": (
        lambda n, k, c: [(f"s{n}.cls", number(k)), (f"s{n}.jpg", c), (f"s{n}.npy", b"\x93NUMPY")],
        ("0", "1"),
        "picture from jpg, in 20 samples",
    ),
    "texts": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.txt", NAMES[k].encode())], ("bright", "dark"), "class from txt"
    ),
    "a text with a mark of its encoding": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", b"\xef\xbb\xbf" + NAMES[k].encode() + b"\r\n")],
        ("bright", "dark"),
        "",
    ),
    "floats": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", f"{k}.0\n".encode())],
        ("0", "1"),
        "classes such as 0.0 are whole numbers, read as 0",
    ),
    "records": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.json", json.dumps({"label": [NAMES[k]]}).encode())],
        ("bright", "dark"),
        "",
    ),
    "a number, and its name in the record": (
        lambda n, k, c: [*plain(n, k, c), (f"s{n}.json", json.dumps({"label": NAMES[k]}).encode())],
        ("bright", "dark"),
        "",
    ),
    "records of a number alone": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.json", str(k).encode())], ("0", "1"), ""
    ),
    "records of a name alone, with a mark of their encoding": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.json", b"\xef\xbb\xbf" + json.dumps(NAMES[k]).encode())],
        ("bright", "dark"),
        "",
    ),
    "records in upper case, numbers and texts of them": (
        lambda n, k, c: [(f"s{n}.JPG", c), (f"s{n}.JSON", json.dumps({"Label": k if n > "0009" else str(k)}).encode())],
        ("0", "1"),
        "",
    ),
    "a list of one number": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", f"[{k}]".encode())], ("0", "1"), ""
    ),
    "a caption and a label": (
        lambda n, k, c: [
            (f"s{n}.jpg", c), (f"s{n}.caption.txt", f"picture {n}".encode()), (f"s{n}.label.txt", NAMES[k].encode())
        ],
        ("bright", "dark"),
        "class from label.txt",
    ),
    "class folders with folders inside": (
        lambda n, k, c: [(f"set/{NAMES[k]}/2024/{n}.jpg", c)],
        ("bright", "dark"),
        "its folder in the shard, such as bright of set/bright/2024/",
    ),
    "long names": (
        lambda n, k, c: [(f"{'x' * 150}/{'y' * 150}{n}.jpg", c), (f"{'x' * 150}/{'y' * 150}{n}.cls", number(k))],
        ("0", "1"),
        "",
    ),
    "files of a Mac": (
        lambda n, k, c: [
            (f"./._s{n}.jpg", b"\0\5\x16\7" + bytes(160)), (f"./s{n}.jpg", c),
            (f"__MACOSX/s{n}.cls", b"\0\5\x16\7"), (f"./s{n}.cls", number(k)), ("./.DS_Store", b"1"),
        ],
        ("0", "1"),
        "",
    ),
    "class folders": (lambda n, k, c: [(f"{NAMES[k]}/{n}.jpg", c)], ("bright", "dark"), "its folder in the shard"),
    "class folders with records": (
        lambda n, k, c: [(f"./{NAMES[k]}/{n}.jpg", c), (f"./{NAMES[k]}/{n}.json", b'{"width": 8}')],
        ("bright", "dark"),
        "its folder in the shard",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_shape_is_taken_and_said(case: str, tmp_path: Path) -> None:
    sample, labels, said = TAKEN[case]
    opened = data.open(shards(tmp_path / "set", sample))
    assert opened.labels == labels
    assert not opened.unreadable
    assert data.split(opened).counts == {"train": 14, "val": 3, "test": 3}
    assert {each.read(): opened.labels[each.label] in (NAMES[number % 2], str(number % 2))
            for number, each in enumerate(sorted(opened.samples, key=lambda sample: sample.name[-4:]))} == {
        content: True for _, _, content in PICTURES
    }  # fmt: skip
    assert said in "; ".join(opened.notes)


REFUSED: dict[str, tuple[Sample, str]] = {
    "two pictures": (
        lambda n, k, c: [(f"s{n}.left.jpg", c), (f"s{n}.right.jpg", c[::-1]), (f"s{n}.cls", number(k))],
        " has 2 pictures, left.jpg and right.jpg; a sample has one",
    ),
    "two formats": (
        lambda n, k, c: [(f"s{n}.cls", number(k)), (f"s{n}.jpg", c), (f"s{n}.png", c)],
        " has 2 pictures, jpg and png; a sample has one",
    ),
    "two classes": (
        lambda n, k, c: [(f"s{n}.a.cls", number(k)), (f"s{n}.b.cls", number(k)), (f"s{n}.jpg", c)],
        " has 2 classes, a.cls and b.cls; a sample has one",
    ),
    "a list of classes": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.json", b'{"label": [1, 2]}')],
        " has 2 classes in json; a picture has one",
    ),
    "pickles": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", pickle.dumps(k))],
        " has a Python pickle in cls, which can run code; write the class as text",
    ),
    "binary": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", k.to_bytes(8, "little"))],
        " has binary data in cls; write the class as text",
    ),
    "files apart": (lambda n, k, c: [], " lie apart in "),
    "the same file twice": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", number(k)), (f"s{n}.cls", number(k))],
        " has the file cls twice",
    ),
    "captions": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.txt", b"a cat on a mat, " * 20)],
        " has 319 characters in txt; a class has 200 at most",
    ),
    "no class": (lambda n, k, c: [(f"s{n}.jpg", c)], "no sample of SET has a class: it is in a field cls, "),
    "a pickle next to the picture": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.pyd", pickle.dumps(k))],
        "; no class in pyd, a Python pickle, which can run code; write the class as text in cls",
    ),
    "an array for a class": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls.npy", b"\x93NUMPY")],
        "; no class in cls.npy, an array; write the class as text in cls",
    ),
    "a record of other facts": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.json", b'{"width": 8, "class_name": "cat"}')],
        "; no class in json, which has width, class_name",
    ),
    "a record of several classes": (
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", b"[1, 0]")],
        " has 2 classes in cls; a picture has one",
    ),
    "tars in a tar": (lambda n, k, c: [(f"n{n}.tar", c)], " holds archives, such as "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_shape_is_refused_with_its_true_reason(case: str, tmp_path: Path) -> None:
    sample, said = REFUSED[case]
    folder = shards(tmp_path / "set", sample)
    if case == "files apart":
        for split, numbers in SPLITS.items():
            parts = [plain(*PICTURES[number]) for number in numbers]
            tar(folder / f"{split}-0.tar", [part[side] for side in (0, 1) for part in parts])
    with pytest.raises(SourceError) as raised:
        data.open(folder)
    assert said.replace("SET", str(folder)) in str(raised.value)
    assert "class folders" not in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(SourceError) as raised:
        data.open(folder / "test-0.tar")
    assert "class folders" not in str(raised.value)


def test_captions_that_are_short_are_no_classes(tmp_path: Path) -> None:
    members = [[(f"s{n}.jpg", PICTURES[n % 20][2]), (f"s{n}.txt", b"cat %d" % n)] for n in range(60)]
    tar(tmp_path / "set" / "a.tar", [each for pair in members for each in pair])
    with pytest.raises(SourceError, match=r"60 different texts in txt for 60 pictures: they describe pictures"):
        data.open(tmp_path / "set")


def test_a_fault_of_every_sample_ends_the_reading_early(tmp_path: Path) -> None:
    many = [(f"s{n:04d}.{ending}", PICTURES[0][2]) for n in range(400) for ending in ("a.jpg", "b.jpg", "cls")]
    tar(tmp_path / "set" / "a.tar", many)
    tar(tmp_path / "set" / "b.tar", [(f"x{name}", content) for name, content in many])
    with pytest.raises(SourceError, match=r"the first 256 samples of .*\.tar cannot be used: x?s0000 has 2 pictures"):
        data.open(tmp_path / "set")


@pytest.mark.parametrize("deep", ["", "train/"])
def test_a_tar_for_each_class(tmp_path: Path, deep: str) -> None:
    for label, name in enumerate(NAMES):
        tar(tmp_path / "set" / deep / f"{name}.tar", [(f"{name}_{n}.JPEG", c) for n, k, c in PICTURES if k == label])
    (tmp_path / "set" / "README.md").write_text("pictures")
    opened = data.open(tmp_path / "set")
    assert opened.labels == ("bright", "dark")
    assert opened.count_by_label() == {"dark": 10, "bright": 10}
    assert "the class of a picture is the name of its tar" in opened.notes
    assert opened.notes[0] == "skipped 1 other file next to the shards, such as README.md"


def test_numbers_of_shards_are_no_classes(tmp_path: Path) -> None:
    for number in range(2):
        tar(tmp_path / "a" / f"{number:05d}.tar", [(f"{n}.jpg", c) for n, k, c in PICTURES if k == number])
        tar(tmp_path / "b" / f"part-{number}.tar", [(f"{n}.jpg", c) for n, k, c in PICTURES if k == number])
    with pytest.raises(SourceError, match=r"no sample of .* has a class"):
        data.open(tmp_path / "a")
    with pytest.raises(SourceError, match="found one: 'part'"):
        data.open(tmp_path / "b")


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.bz2", "tar.xz", "tar"])
def test_compressed_tars_are_streamed(tmp_path: Path, ending: str) -> None:
    modes = {"tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz", "tar": "w:gz"}
    folder = shards(tmp_path / "set", plain, ending, modes[ending])
    same = data.open(shards(tmp_path / "plain", plain)).fingerprint
    for source in (folder, f"{folder}/{{train,val,test}}-0.{ending}"):
        opened = data.open(source)
        assert opened.streamed
        assert opened.fingerprint == same
    assert data.open(folder / f"val-0.{ending}").streamed
    assert opened.samples[3].read() in {content for _, _, content in PICTURES}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_tar_that_is_cut_is_named(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    shard = shards(tmp_path / "set", plain) / "train-0.tar"
    packed = pack(shard.read_bytes())
    shard.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"cannot read .*train-0\.tar: "):
        data.open(tmp_path / "set")
    shard.write_bytes(b"\x28\xb5\x2f\xfd" + packed)
    with pytest.raises(SourceError, match=r"cannot read .*train-0\.tar: it is compressed with Zstandard"):
        data.open(tmp_path / "set")


def test_a_text_of_pictures_with_folders_for_splits(tmp_path: Path) -> None:
    for split, numbers in SPLITS.items():
        tar(tmp_path / "a" / split / "00000.tar", [m for n in numbers for m in plain(*PICTURES[n])])
    tar(tmp_path / "b" / "a.tar", [(f"{s}/{NAMES[PICTURES[n][1]]}/{n}.jpg", PICTURES[n][2]) for s in SPLITS
                                   for n in SPLITS[s]])  # fmt: skip
    tar(tmp_path / "b" / "b.tar", [])
    for name in "ab":
        assert data.split(data.open(tmp_path / name)).counts == {"train": 14, "val": 3, "test": 3}


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def tables(folder: Path, cell: Callable[[str, bytes], Any], kind: Any, label: Callable[[int], Any]) -> Path:
    folder.mkdir()
    for split, numbers in SPLITS.items():
        rows = [PICTURES[number] for number in numbers]
        columns = {
            "image": pa.array([cell(n, c) for n, _, c in rows], kind),
            "label": [label(int(n)) for n, _, _ in rows],
        }
        pq.write_table(pa.table(columns), folder / f"{split}-00000-of-00001.parquet", row_group_size=5)
    return folder


def both(folder: Path) -> tuple[str, str]:
    return str(folder), f"{folder}/{{train,val,test}}-00000-of-00001.parquet"


CELLS: dict[str, tuple[Callable[[str, bytes], Any], Any]] = {
    "lists of one": (lambda n, c: [{"bytes": c, "path": None}], pa.list_(STRUCT)),
    "large lists of bytes": (lambda n, c: [c], pa.large_list(pa.large_binary())),
    "views": (lambda n, c: c, pa.binary_view()),
    "dictionaries": (lambda n, c: c, pa.dictionary(pa.int32(), pa.binary())),
}


@pytest.mark.parametrize("case", CELLS)
def test_a_cell_with_one_picture_is_taken(case: str, tmp_path: Path) -> None:
    cell, kind = CELLS[case]
    for source in both(tables(tmp_path / "set", cell, kind, lambda n: float(n % 2))):
        opened = data.open(source)
        assert opened.labels == ("0", "1")
        assert "classes such as 0.0 are whole numbers, read as 0" in opened.notes
        assert {each.read() for each in opened.samples} == {content for _, _, content in PICTURES}


def test_gaps_in_a_table_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tables(
        tmp_path / "set",
        lambda n, c: None if n == "0003" else {"bytes": c, "path": None},
        STRUCT,
        lambda n: None if n == 5 else np.nan if n == 15 else float(n % 2),
    )
    for source in both(folder):
        opened = data.open(source)
        assert len(opened.samples) == 17
        reasons = sorted(each.reason.partition(" ")[2] for each in opened.unreadable)
        assert reasons == ["has no class", "has no class", "has no picture"]


WRONG_CELLS: dict[str, tuple[Callable[[str, bytes], Any], Any, Callable[[int], Any], str]] = {
    "paths": (
        lambda n, c: {"bytes": None, "path": f"{n}.jpg"}, STRUCT, lambda n: n % 2,
        r"has the path 00\d\d\.jpg in place of the picture's bytes",
    ),
    "two": (lambda n, c: [c, c], pa.list_(pa.binary()), lambda n: n % 2, "has 2 pictures; a sample has one"),
    "two classes": (lambda n, c: c, pa.binary(), lambda n: [1, 2], "has 2 classes in label; a picture has one"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_CELLS)
def test_a_cell_that_cannot_be_used_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    cell, kind, label, said = WRONG_CELLS[case]
    for source in both(tables(tmp_path / "set", cell, kind, label)):
        with pytest.raises(SourceError, match=said) as raised:
            data.open(source)
        assert "class folders" not in str(raised.value)


def test_a_split_in_a_column_counts_in_a_stream_too(tmp_path: Path) -> None:
    rows = [(c, k, split) for split, numbers in SPLITS.items() for n in numbers for _, k, c in [PICTURES[n]]]
    columns = dict(zip(("image", "label", "split"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "part-0.parquet")
    for source in (tmp_path / "part-0.parquet", f"{tmp_path}/{{part-0}}.parquet"):
        assert data.split(data.open(source)).counts == {"train": 14, "val": 3, "test": 3}


def test_folders_in_a_shard_name_splits(tmp_path: Path) -> None:
    members = [
        (f"birds/{split}/{NAMES[PICTURES[number][1]]}/{number}.jpg", PICTURES[number][2])
        for split, numbers in SPLITS.items()
        for number in numbers
    ]
    tar(tmp_path / "all.tar", members)
    opened = data.open(tmp_path / "all.tar")
    assert opened.labels == ("bright", "dark")
    assert data.split(opened).counts == {"train": 14, "val": 3, "test": 3}


def test_classes_that_may_be_written_in_two_ways_are_said(tmp_path: Path) -> None:
    both = shards(
        tmp_path / "a",
        lambda n, k, c: [(f"s{n}.jpg", c), (f"s{n}.cls", number(k) if n > "0009" else NAMES[k].encode())],
    )
    notes = "; ".join(data.open(both).notes)
    assert "classes are numbers (2, such as 0) and names (2, such as bright)" in notes
    cases = shards(
        tmp_path / "b",
        lambda n, k, c: [
            (f"s{n}.jpg", c),
            (f"s{n}.cls", NAMES[k].title().encode() if n > "0009" else NAMES[k].encode()),
        ],
    )
    assert "the classes Bright and bright differ in upper and lower case alone" in "; ".join(data.open(cases).notes)


def test_shards_that_share_keys_name_their_samples_apart(tmp_path: Path) -> None:
    for part in range(2):
        tar(
            tmp_path / "set" / f"part-{part}.tar",
            [each for n, (_, k, c) in enumerate(PICTURES[part::2]) for each in plain(str(n), (k + part + n) % 2, c)]
            + [("s99.cls", b"1")],
        )
    opened = data.open(tmp_path / "set")
    assert len({sample.name for sample in opened.samples}) == 20
    assert opened.samples[0].name == "part-0.tar/s0"
    assert [each.reason for each in opened.unreadable] == [
        "part-0.tar/s99 has no picture",
        "part-1.tar/s99 has no picture",
    ]


@pytest.mark.parametrize("ending", ["tar.zst", "tar.lz4", "TZST"])
def test_shards_with_another_compression_are_named(tmp_path: Path, ending: str) -> None:
    folder = shards(tmp_path / "set", plain)
    for path in folder.glob("*.tar"):
        path.rename(path.with_suffix(f".{ending}"))
    for source in (folder, folder / f"train-0.{ending}", f"{folder}/{{train,test}}-0.{ending}"):
        with pytest.raises(
            SourceError,
            match=rf"(train|test|val)-0\.{ending}, compressed in a way that is not read here; decompress it",
        ):
            data.open(source)


def test_a_link_in_a_tar_is_no_picture(tmp_path: Path) -> None:
    folder = shards(tmp_path / "set", plain)
    with tarfile.open(folder / "train-0.tar", "a") as tape:
        for ending, kind in (("jpg", tarfile.LNKTYPE), ("cls", tarfile.REGTYPE)):
            member = tarfile.TarInfo(f"t1.{ending}")
            member.type, member.linkname = kind, "s0001.jpg" if kind == tarfile.LNKTYPE else ""
            member.size = 0 if kind == tarfile.LNKTYPE else 1
            tape.addfile(member, io.BytesIO(b"1"))
    assert [each.reason for each in data.open(folder).unreadable] == [
        "t1 has a link to s0001.jpg in place of a picture; pack it with tar --dereference --hard-dereference"
    ]


def test_a_table_about_a_shard_is_not_read(tmp_path: Path) -> None:
    folder = shards(tmp_path / "set", plain)
    pq.write_table(pa.table({"url": ["a"], "key": ["b"]}), folder / "train-0.parquet")
    opened = data.open(folder)
    assert opened.streamed
    assert "skipped 1 other file next to the shards, such as train-0.parquet" in opened.notes


def test_arrays_whose_channels_come_first_are_said(tmp_path: Path) -> None:
    def array(k: int) -> bytes:
        file = io.BytesIO()
        np.save(file, np.full((3, 24, 24), 50 + 100 * k, np.uint8))
        return file.getvalue()

    folder = shards(tmp_path / "set", lambda n, k, c: [(f"s{n}.npy", array(k)), (f"s{n}.cls", number(k))])
    assert "pictures are 3 pixels high with 24 bands; if channels come first" in "; ".join(data.open(folder).notes)


def test_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    folder = shards(tmp_path / "set", lambda n, k, c: [(f"set/{('train', 'val')[k]}/{n}.jpg", c)])
    with pytest.raises(SourceError, match=r"no sample of .* has a class: it is in a field cls, "):
        data.open(folder)


def test_an_empty_shard_among_others_is_no_fault(tmp_path: Path) -> None:
    folder = shards(tmp_path / "set", plain)
    tar(folder / "train-1.tar", [])
    assert len(data.open(folder).samples) == 20
    (folder / "train-2.tar").write_bytes(b"")
    with pytest.raises(SourceError, match=r"cannot read .*train-2\.tar: empty file"):
        data.open(folder)
    for path in folder.glob("*.tar"):
        path.unlink()
    tar(folder / "train-1.tar", [])
    with pytest.raises(SourceError, match="holds no samples"):
        data.open(folder)

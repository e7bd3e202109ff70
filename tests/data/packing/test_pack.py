"""`pack`: shards that hold what the source holds, mixed, the same bytes each time, also after a kill."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.digests import digests_of_file
from pennyweight.data.packing import spool
from pennyweight.data.readers.shard import Shard

Draw = Callable[..., Path]
FORMATS = ("webdataset", "parquet")
COUNTS = {"train/cats": 30, "train/dogs": 20, "val/cats": 8, "val/dogs": 8, "test/cats": 5, "test/dogs": 5}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


def held(source: Any) -> Counter[tuple[str, str, str | None]]:
    """Digest, class and split of each picture."""
    opened = data.open(source)
    return Counter((each.digest, opened.labels[each.label], each.split) for each in opened.samples)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("format", FORMATS)
def test_shards_hold_what_the_source_holds(format: Any, draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder(COUNTS)
    made = pw.pack(folder, tmp_path / "out", shard_size="60KB", format=format)
    assert held(tmp_path / "out") == held(folder)
    assert data.open(tmp_path / "out").fingerprint == data.open(folder).fingerprint
    assert (made.images, made.labels, made.unreadable) == (76, ("cats", "dogs"), 0)
    assert made.address == str(tmp_path / "out")
    assert len(made.shards) > 4
    assert {name.partition("-")[0] for name in made.shards} == {"train", "val", "test"}
    sizes = [(tmp_path / "out" / name).stat().st_size for name in made.shards]
    assert max(sizes) < 90_000


def test_each_shard_looks_like_the_whole(draw_folder: Draw, tmp_path: Path) -> None:
    made = pw.pack(draw_folder({"cats": 60, "dogs": 60}, side=16), tmp_path / "out", shard_size=40_000)
    for name in made.shards:
        labels = Counter(example.label for example in Shard(str(tmp_path / "out" / name), None).examples())
        assert len(labels) == 2
        assert min(labels.values()) > 0.2 * sum(labels.values())


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_bytes_each_time_and_nothing_is_written_twice(format: Any, draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder({"cats": 20, "dogs": 20})
    for name in ("a", "b"):
        pw.pack(folder, tmp_path / name, shard_size="50KB", format=format)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    shard = next(iter(sorted(tmp_path.glob("a/part-*"))))
    before = shard.stat().st_mtime_ns
    (tmp_path / "b" / shard.name).unlink()
    for name in ("a", "b"):
        pw.pack(folder, tmp_path / name, shard_size="50KB", format=format)
    assert shard.stat().st_mtime_ns == before
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_pack_has_its_index(draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pw.pack(draw_folder({"cats": 20, "dogs": 20}), tmp_path / "out", shard_size="50KB")
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(Shard, "examples", lambda self: pytest.fail("a picture was read"))
    assert len(data.open(tmp_path / "out").samples) == 40


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "parquet", "arrays", "rows"])
def test_any_source_is_packed(kind: str, draw_folder: Draw, tmp_path: Path) -> None:
    if kind == "arrays":
        pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
        source = tmp_path / "set.npz"
        np.savez(source, images=pixels, labels=np.arange(40) % 2)
        pw.pack(source, tmp_path / "out")
        opened = data.open(tmp_path / "out")
        assert {np.asarray(Image.open(io.BytesIO(each.read()))).tobytes() for each in opened.samples} == {
            picture.tobytes() for picture in pixels
        }
        assert opened.labels == ("0", "1")
        return
    folder = draw_folder({"cats": 20, "dogs": 20})
    source = tmp_path / "first"
    format: Any = "parquet" if kind in ("parquet", "rows") else "webdataset"
    files = [source / name for name in pw.pack(folder, source, shard_size="50KB", format=format).shards]
    for file in files if kind == "tar.gz" else ():
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    braces = f"{source}/{{{','.join(file.stem for file in files)}}}.parquet"
    address = braces if kind == "parquet" else str(source)
    pw.pack(address, tmp_path / "out", shard_size="70KB")
    assert held(tmp_path / "out") == held(folder)


@pytest.mark.parametrize(("free", "times"), [(1 << 40, 1), (105_000, 3)])
def test_a_source_that_is_read_in_order_is_read_once_where_the_disk_has_room(
    free: int, times: int, draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, source = draw_folder({"cats": 20, "dogs": 20}), tmp_path / "first"
    for name in pw.pack(folder, source).shards:
        (source / f"{name}.gz").write_bytes(gzip.compress((source / name).read_bytes()))
        (source / name).unlink()
    opened, read, examples = data.open(source), list[str](), Shard.examples

    def counted(self: Shard) -> Any:
        read.append(self.name)
        return examples(self)

    monkeypatch.setattr(Shard, "examples", counted)
    monkeypatch.setattr(spool, "FREE_SHARE", 1.0)
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    packed = pw.pack(opened, tmp_path / "out", shard_size="35KB")
    assert len(packed.shards) == 7
    from_source = [name for name in read if name.endswith(".gz")]
    assert len(from_source) == 1 + times, "once to know the kind of the pictures, and once for each part"
    assert list((tmp_path / "cache" / "spool").iterdir()) == []


def test_resize_makes_larger_pictures_smaller_and_leaves_others(draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder({"cats": 6, "dogs": 6}, side=40)
    Image.new("L", (100, 50), 9).save(folder / "cats" / "wide.jpg")
    Image.new("RGB", (12, 30)).save(folder / "dogs" / "small.png")
    np.save(folder / "dogs" / "bands.npy", np.zeros((40, 40, 5), np.uint8))
    pw.pack(folder, tmp_path / "out", resize=20)
    found: Counter[tuple[Any, ...]] = Counter()
    for each in data.open(tmp_path / "out").samples:
        content = each.read()
        if content.startswith(b"\x93NUMPY"):
            found[40, 40, "NPY"] += 1
            continue
        picture = Image.open(io.BytesIO(content))
        found[(*picture.size, picture.format)] += 1
    assert found == {(20, 20, "PNG"): 12, (40, 20, "JPEG"): 1, (12, 30, "PNG"): 1, (40, 40, "NPY"): 1}


def test_damaged_pictures_are_packed_as_they_are_and_counted(draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder({"cats": 6, "dogs": 6})
    (folder / "cats" / "torn.png").write_bytes(b"\x89PNG torn")
    lines: list[str] = []
    made = pw.pack(folder, tmp_path / "out", note=lines.append)
    assert made.unreadable == 1
    assert any(line.startswith("1 picture cannot be read: packed unchanged; `pennyweight doctor ") for line in lines)
    assert len(data.open(tmp_path / "out").unreadable) == 1


def test_groups_stay_together(draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder(
        {f"{label}/{label[0]}patient{number}": 4 for label in ("ill", "well") for number in range(20)}, side=8
    )
    grouped = data.split(data.open(folder, group_by="([iw]patient[0-9]+)"))
    lines: list[str] = []
    pw.pack(folder, tmp_path / "out", group_by="([iw]patient[0-9]+)", note=lines.append)
    packed = data.split(data.open(tmp_path / "out"))
    assert packed.fingerprint == grouped.fingerprint
    assert any("made now, so that groups (([iw]patient[0-9]+)) stay together" in line for line in lines)


def test_what_lies_in_the_folder_already_stays(draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder({"cats": 6, "dogs": 6})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis\.tex already; name a new folder for the shards"):
        pw.pack(folder, tmp_path / "full")
    pw.pack(folder, tmp_path / "out")
    before = digests(tmp_path / "out")
    with pytest.raises(InputError, match="holds shards of another source, or with other options"):
        pw.pack(folder, tmp_path / "out", resize=8)
    assert digests(tmp_path / "out") == before
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"cannot write to .*file"):
        pw.pack(folder, tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "webdatset"}, "unknown format 'webdatset'; did you mean 'webdataset'"),
        ({"resize": 0}, "resize is a number of pixels such as 256, not int 0"),
        ({"shard_size": "big"}, "shard_size is a size such as 256MB or 1GB, not str 'big'"),
        ({"out": "https://example.org/birds"}, "https://example.org/birds cannot be written"),
    ],
)
def test_what_cannot_be_packed_is_said(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        pw.pack("digits", options.pop("out", tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pennyweight", *map(str, arguments)]


KILLED = """
import os, signal, sys
import pennyweight as pw

pw.pack(sys.argv[1], sys.argv[2], shard_size="500KB", advance=lambda count: os.kill(os.getpid(), signal.SIGKILL))
"""
"""Dies when a shard is done, while another thread writes the next."""


@pytest.mark.slow
def test_a_killed_pack_is_completed_to_the_same_bytes(draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder({"cats": 150, "dogs": 150}, side=200)
    pw.pack(folder, tmp_path / "whole", shard_size="500KB")
    again = command("pack", folder, tmp_path / "parts", "--shard-size", "500KB")
    for _ in range(3):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "parts")], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert 3 <= len(list(tmp_path.glob("parts/*.tar"))) < len(list(tmp_path.glob("whole/*.tar")))
    two = [subprocess.Popen(again) for _ in range(2)]
    assert [process.wait(120) for process in two] == [0, 0]
    assert digests(tmp_path / "parts") == digests(tmp_path / "whole")
    assert held(tmp_path / "parts") == held(folder)


def read_by_webdataset(folder: Path) -> Counter[tuple[str, str, str]]:
    webdataset = pytest.importorskip("webdataset", reason="the peers are not installed")
    found: Counter[tuple[str, str, str]] = Counter()
    for shard in sorted(folder.glob("*.tar")):
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False, empty_check=False):
            (ending,) = [key for key in sample if key in ("png", "jpg")]
            label = json.loads(sample["json"])["label"]
            found[digests_of_file(sample[ending]).content, label, shard.name.partition("-")[0]] += 1
    return found


def read_by_datasets(folder: Path, cache: Path) -> Counter[tuple[str, str, str]]:
    datasets = pytest.importorskip("datasets", reason="the peers are not installed")
    found: Counter[tuple[str, str, str]] = Counter()
    for split, rows in datasets.load_dataset(str(folder), cache_dir=str(cache)).items():
        column = next(name for name in ("image", "png", "jpg") if name in rows.column_names)
        names = rows.features["label"].names if "label" in rows.column_names else None
        for row in rows.cast_column(column, datasets.Image(decode=False)):
            label = names[row["label"]] if names else row["json"]["label"]
            found[digests_of_file(row[column]["bytes"]).content, label, str(split)] += 1
    return found


def as_split_words(found: Counter[Any]) -> Counter[Any]:
    words = {"val": "validation"}
    return Counter({(digest, label, words.get(split, split)): count for (digest, label, split), count in found.items()})


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
@pytest.mark.parametrize("format", FORMATS)
def test_peers_read_the_same(format: Any, draw_folder: Draw, tmp_path: Path) -> None:
    folder = draw_folder(COUNTS)
    pw.pack(folder, tmp_path / "out", shard_size="60KB", format=format)
    wanted = as_split_words(held(folder))
    if format == "webdataset":
        assert as_split_words(read_by_webdataset(tmp_path / "out")) == wanted
    assert as_split_words(read_by_datasets(tmp_path / "out", tmp_path / "hub")) == wanted


def first_rows(tables: Sequence[Path], folder: Path, rows: int) -> Path:
    """Write the first rows of the first table of each split, as its file has them."""
    parquet = pytest.importorskip("pyarrow.parquet")
    folder.mkdir()
    for split in ("train", "test"):
        first = next(table for table in tables if table.name.startswith(split))
        parquet.write_table(parquet.read_table(first).slice(0, rows), folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
@pytest.mark.parametrize("name", ["cats-dogs", "cifar10-jpeg"])
def test_peers_read_real_pictures_the_same(name: str, real_data: Path, tmp_path: Path) -> None:
    source = real_data / name
    if tables := sorted(source.glob("*.parquet")):
        source = first_rows(tables, tmp_path / name, 500)
    pw.pack(source, tmp_path / "out", shard_size="200KB" if tables else "1MB")
    assert len(list((tmp_path / "out").glob("*.tar"))) > 3
    wanted = held(source)
    assert held(tmp_path / "out") == wanted
    assert as_split_words(read_by_webdataset(tmp_path / "out")) == as_split_words(wanted)
    assert as_split_words(read_by_datasets(tmp_path / "out", tmp_path / "hub")) == as_split_words(wanted)


@pytest.mark.slow
def test_shards_are_packed_to_s3_and_read_from_there(
    s3_bucket: str, draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_folder(COUNTS)
    pw.pack(folder, tmp_path / "here", shard_size="60KB")
    made = pw.pack(folder, f"{s3_bucket}/birds", shard_size="60KB")
    address = f"{s3_bucket}/birds/{{{','.join(name.removesuffix('.tar') for name in made.shards)}}}.tar"
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "another"))
    with monkeypatch.context() as patched:
        patched.setattr(Shard, "examples", lambda self: pytest.fail("a picture was read"))
        assert held(address) == held(folder)
    assert data.open(address).samples[0].read()
    assert pw.pack(folder, f"{s3_bucket}/birds", shard_size="60KB").shards == made.shards

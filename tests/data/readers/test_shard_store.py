"""The index of shards: made together, kept as each shard is done, beside the shards where it may lie."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.readers import shard_store, storage
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shard_entry import decode_entry
from pennyweight.data.readers.shard_index import read_in_order
from pennyweight.data.readers.storage import Folder

Write = Callable[..., str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shard_store, "WAIT_S", 0.01)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards whose samples are read."""
    names: list[str] = []
    examples = Shard.examples

    def counted(self: Shard) -> Iterator[Any]:
        names.append(self.name)
        return examples(self)

    monkeypatch.setattr(Shard, "examples", counted)
    return names


def test_the_next_person_reads_no_picture(
    tmp_path: Path, write_shards: Write, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = write_shards(tmp_path / "set", {"train": [9, 9], "test": [9]})
    known = data.open(address).fingerprint
    assert sorted(read) == ["test-000.tar", "train-000.tar", "train-001.tar"]
    assert len(list((tmp_path / "set" / ".pennyweight").iterdir())) == 3
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "another"))
    assert data.open(address).fingerprint == known
    assert data.open(tmp_path / "set").fingerprint == known
    assert len(read) == 3


def test_one_changed_shard_is_read_again_alone(tmp_path: Path, write_shards: Write, read: list[str]) -> None:
    address = write_shards(tmp_path / "set", {"train": [9, 9]})
    data.open(address)
    read.clear()
    shutil.copy(tmp_path / "set" / "train-000.tar", tmp_path / "set" / "train-001.tar")
    assert len(data.open(address).samples) == 18
    assert read == ["train-001.tar"]


@pytest.mark.parametrize("damage", ["empty", "cut", "of pickles", "of another shape"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, write_shards: Write, read: list[str], damage: str) -> None:
    address = write_shards(tmp_path / "set", {"train": [9, 9]})
    known = data.open(address).fingerprint
    entry = tmp_path / "set" / ".pennyweight" / "train-000.tar.npz"
    whole = entry.read_bytes()
    if damage == "empty":
        entry.write_bytes(b"")
    elif damage == "cut":
        entry.write_bytes(whole[: len(whole) // 2])
    else:
        columns = dict(np.load(entry))
        columns |= {"key": np.array([{}] * 9, object)} if damage == "of pickles" else {"size": columns["size"][:3]}
        np.savez(entry, **columns)
    read.clear()
    assert data.open(address).fingerprint == known
    assert read == ["train-000.tar"]


def test_where_nothing_may_be_written_the_cache_has_it(
    tmp_path: Path, write_shards: Write, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = Folder.writing

    def refusing(self: Folder, name: str) -> Any:
        if not self.url.startswith(str(tmp_path / "cache")):
            raise PermissionError(13, "Permission denied")
        return writing(self, name)

    monkeypatch.setattr(Folder, "writing", refusing)
    address = write_shards(tmp_path / "set", {"train": [9, 9]})
    for _ in range(2):
        data.open(address)
    assert sorted(read) == ["train-000.tar", "train-001.tar"]
    assert len(list((tmp_path / "cache" / "streams").glob("*.npz"))) == 2


def test_what_is_done_stays_when_a_later_shard_fails(tmp_path: Path, write_shards: Write, read: list[str]) -> None:
    address = write_shards(tmp_path / "set", {"train": [9] * 6})
    broken = tmp_path / "set" / "train-003.tar"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:2000])
    with pytest.raises(SourceError, match=r"cannot read .*train-003\.tar"):
        data.open(address)
    broken.write_bytes(whole)
    done = {path.name.removesuffix(".npz") for path in (tmp_path / "set" / ".pennyweight").glob("*.npz")}
    read.clear()
    assert len(data.open(address).samples) == 54
    assert done
    assert not done & set(read)


def test_threads_that_begin_together_read_each_shard_once(tmp_path: Path, write_shards: Write, read: list[str]) -> None:
    address = write_shards(tmp_path / "set", {"train": [9] * 12})
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(data.open(address).fingerprint)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert len(read) == 12
    assert len(set(read)) == 12


@pytest.mark.slow
def test_a_killed_process_loses_nothing_and_doubles_nothing(
    tmp_path: Path, write_shards: Write, read: list[str]
) -> None:
    address = write_shards(tmp_path / "set", {"train": [200] * 40})
    command = [sys.executable, "-m", "pennyweight", "index", address]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
    index = tmp_path / "set" / ".pennyweight"
    deadline = time.monotonic() + 200
    while len(list(index.glob("train*.npz"))) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    processes[0].send_signal(signal.SIGKILL)
    assert [process.wait(120) for process in processes] == [-signal.SIGKILL, 0, 0]
    assert len(list(index.glob("train*.npz"))) == 40
    opened = data.open(address)
    assert read == []
    assert len(opened.samples) == len({each.digest for each in opened.samples}) == 8000


def test_claims_of_others_are_kept_and_those_of_the_dead_are_void(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="addresses need the extra scale")
    here, there = Folder("memory://claims/set"), Folder("memory://claims/set")
    with here.claim("a") as held:
        assert held
        with there.claim("a") as other, there.claim("b") as another:
            assert not other
            assert another
    with there.claim("a") as held:
        assert held
    there.write("a.claim", b"of a killed process")
    monkeypatch.setattr(storage, "CLAIM_S", 0.05)
    with here.claim("a") as held:
        assert not held  # seen for the first time: it may be renewed
    time.sleep(0.06)
    with here.claim("a") as held:
        assert held


def test_an_index_is_made_by_name_and_said(
    tmp_path: Path, write_shards: Write, draw_folder: Callable[..., Path]
) -> None:
    address = write_shards(tmp_path / "set", {"train": [20]})
    found = pw.index(address)
    assert (found.images, len(found.labels), found.unreadable) == (20, 10, ())
    assert found.address == address
    with pytest.raises(InputError, match="pets needs no index, because its pictures are read in any order"):
        pw.index(draw_folder({"cats": 3, "dogs": 3}))


def test_many_shards_are_listed_in_braces(tmp_path: Path, write_shards: Write) -> None:
    address = write_shards(tmp_path / "set", {"train": [1] * 40})
    assert len(address) > 255
    assert pw.index(address).images == 40


def test_an_entry_of_another_time_is_none() -> None:
    assert decode_entry(b"", "1 bytes of 2") is None


@pytest.mark.slow
def test_an_index_lies_beside_shards_on_s3(
    s3_bucket: str, tmp_path: Path, write_shards: Write, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    local = write_shards(tmp_path / "set", {"train": [9, 9]})
    for path in (tmp_path / "set").glob("*.tar"):
        boto3.client("s3").upload_file(str(path), "shelf", f"set/{path.name}")
    address = local.replace(str(tmp_path), s3_bucket)
    known = data.open(address).fingerprint
    kept = boto3.client("s3").list_objects_v2(Bucket="shelf", Prefix="set/.pennyweight/")["Contents"]
    assert [each["Key"] for each in kept] == [f"set/.pennyweight/train-00{number}.tar.npz" for number in range(2)]
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "another"))
    read.clear()
    assert data.open(address).fingerprint == known
    assert read == []


def test_samples_of_a_compressed_shard_are_read_in_one_go(tmp_path: Path, write_shards: Write, read: list[str]) -> None:
    write_shards(tmp_path / "set", {"part": [12]})
    packed = tmp_path / "set" / "part-000.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "set" / "part-000.tar").read_bytes()))
    (tmp_path / "set" / "part-000.tar").unlink()
    samples = data.open(tmp_path / "set").samples
    read.clear()
    held = list(read_in_order(samples[::-1]))
    assert read == ["part-000.tar.gz"]
    assert [each.name for each in held] == [each.name for each in samples]
    assert [each.read() for each in held] == [each.read() for each in samples]

"""`doctor` on shards: it streams them, and tells their order, fields and sizes."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.data.checks.shards import classes_in_batches

pytestmark = pytest.mark.usefixtures("few_trees")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


def test_shards_are_streamed_and_a_torn_picture_is_found(
    tmp_path: Path, write_shards: Callable[..., str], add_sample: Callable[..., None]
) -> None:
    address = write_shards(tmp_path / "set", {"train": [90, 90], "test": [40]})
    with tarfile.open(tmp_path / "set" / "train-001.tar", "a") as tape:
        add_sample(tape, "torn", png=b"no picture", cls=b"3")
    found = pw.doctor(address, quick=True)
    assert sum(found.counts.values()) == 220
    assert [finding.pictures for finding in found.of("unreadable")] == [("torn",)]
    assert not found.of("order")
    assert not found.of("shard sizes")


@pytest.mark.parametrize("ending", ["tar", pytest.param("tar.gz", marks=pytest.mark.slow)])
def test_the_order_of_the_folders_is_told(tmp_path: Path, draw_folder: Callable[..., Path], ending: str) -> None:
    folder = draw_folder({"cats": 100, "dogs": 100}, side=16)
    pictures = sorted(folder.rglob("*.png"))
    with tarfile.open(tmp_path / f"a.{ending}", "w:gz" if ending == "tar.gz" else "w") as tape:
        for path in pictures:
            tape.add(path, f"{path.stem}.png")
            (tmp_path / "label").write_text(path.parent.name)
            tape.add(tmp_path / "label", f"{path.stem}.own.cls")
    found = pw.doctor(f"{tmp_path}/{{a}}.{ending}", quick=True)
    (order,) = found.of("order")
    assert order.detail.startswith("64 neighbors in the shards have 1.3 classes, and 2 if mixed")
    assert order.severity == "note"
    (fields,) = found.of("fields")
    assert fields.detail == "class from own.cls, in 200 samples"
    pw.pack(f"{tmp_path}/{{a}}.{ending}", tmp_path / "packed", shard_size="60KB")
    assert not pw.doctor(tmp_path / "packed", quick=True).of("order")


def test_a_shard_much_larger_than_the_others_is_named(tmp_path: Path, write_shards: Callable[..., str]) -> None:
    found = pw.doctor(write_shards(tmp_path / "set", {"train": [20, 20, 200]}), quick=True)
    (sizes,) = found.of("shard sizes")
    assert sizes.pictures == ("train-002.tar",)


def test_a_stream_has_the_findings_of_its_pictures_in_a_folder(
    tmp_path: Path, draw_folder: Callable[..., Path]
) -> None:
    folder = draw_folder({"cats": 30, "dogs": 30}, side=12)
    pw.pack(folder, tmp_path / "packed")
    kinds = [sorted(finding.kind for finding in pw.doctor(each).findings) for each in (folder, tmp_path / "packed")]
    assert kinds[0] == kinds[1]
    assert data.open(tmp_path / "packed").streamed


def test_the_effective_number_of_classes() -> None:
    assert classes_in_batches(np.arange(640) % 4) == pytest.approx(4)
    assert classes_in_batches(np.repeat(np.arange(10), 64)) == pytest.approx(1)
    assert classes_in_batches(np.array([0, 1])) == pytest.approx(2)

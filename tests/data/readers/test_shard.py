"""Shards with samples that lack something."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.preprocess import Preprocess

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = data.Augment(flip=False, shift=0.0)
Write = Callable[..., str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("lacking", ["class", "picture", "class in a broken record"])
def test_a_sample_that_is_not_whole_is_left_out_and_named(
    tmp_path: Path, write_shards: Write, add_sample: Callable[..., None], lacking: str
) -> None:
    address = write_shards(tmp_path, {"train": [20]})
    picture = data.Stream(address, PREPROCESS).samples[0].read()
    parts = {"class": {"png": picture}, "picture": {"cls": b"3"}}.get(lacking, {"png": picture, "json": b"{no"})
    with tarfile.open(tmp_path / "train-000.tar", "a") as tape:
        add_sample(tape, "half", **parts)
        add_sample(tape, "whole", png=picture, cls=b"3")
    one = data.Stream(address, PREPROCESS)
    assert len(one) == 21
    assert [each.reason for each in one.unreadable] == [f"half has no {lacking.split()[0]}"]
    assert sum(batch.size for batch in one.epoch(0, batch=8, seed=0, augment=PLAIN)) == 21


def test_a_tar_whose_first_sample_has_no_class_is_a_shard_all_the_same(
    tmp_path: Path, write_shards: Write, add_sample: Callable[..., None]
) -> None:
    picture = data.Stream(write_shards(tmp_path / "a", {"train": [3]}), PREPROCESS).samples[0].read()
    with tarfile.open(tmp_path / "b.tar", "w") as tape:
        add_sample(tape, "half", png=picture)
        for number in range(8):
            add_sample(tape, str(number), png=picture, cls=str(number % 2).encode())
    assert data.open(tmp_path / "b.tar").streamed
    with tarfile.open(tmp_path / "train-0.tar", "w") as tape:
        add_sample(tape, "half", png=picture)
    with pytest.raises(SourceError, match=r"no sample of .* has a class"):
        data.open(str(tmp_path / "{train-0}.tar"))

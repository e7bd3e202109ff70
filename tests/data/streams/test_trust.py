"""Trusted streams: nothing is decoded before training, which leaves out what it cannot decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Stream
from pennyweight.data.readers import shard_entry
from pennyweight.data.readers.shard import Shard

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = Augment(flip=False, shift=0.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


def damage(shard: Path, *places: int) -> None:
    """Flip a byte of the pixels of some pictures; their headers stay whole."""
    examples = list(Shard(str(shard), None).examples())
    content = bytearray(shard.read_bytes())
    for place in places:
        content[examples[place].place + 60] ^= 255
    shard.write_bytes(content)


@pytest.fixture
def damaged(tmp_path: Path, write_shards: Callable[..., str]) -> str:
    """Two shards of 60 pictures, of which numbers 3, 4, 59 and 70 cannot be decoded."""
    address = write_shards(tmp_path / "set", {"train": [60, 60]})
    damage(tmp_path / "set" / "train-000.tar", 3, 4, 59)
    damage(tmp_path / "set" / "train-001.tar", 10)
    return address


def shown(stream: Stream, **options: Any) -> list[list[int]]:
    batches = stream.epoch(1, batch=16, seed=0, augment=PLAIN, **options)
    return [(np.asarray(batch.pixels)[:, 0, 0, :2].astype(int) @ [1, 256]).tolist() for batch in batches]


def test_what_cannot_be_decoded_is_left_out_and_counted(damaged: str) -> None:
    stream = Stream(damaged, PREPROCESS, trust=True)
    assert len(stream) == 120
    assert stream.unreadable == stream.lost == ()
    batches = shown(stream)
    assert sum(map(len, batches)) == 120
    assert {number for batch in batches for number in batch} == set(range(120)) - {3, 4, 59, 70}
    assert [each.name for each in stream.lost] == ["000003", "000004", "000059", "000070"]
    assert "cannot read 000003: " in stream.lost[0].reason
    assert shown(Stream(damaged, PREPROCESS, trust=True), start=3) == batches[3:]
    assert sorted(len(batch.pixels) for batch in stream.in_order(50)) == [20, 50, 50]


def test_classes_stay_with_their_pictures(damaged: str) -> None:
    stream = Stream(damaged, PREPROCESS, trust=True)
    for batches in (stream.epoch(1, batch=16, seed=0, augment=PLAIN), stream.in_order(16)):
        for batch in batches:
            assert (np.asarray(batch.pixels)[:, 0, 0, 0] % 10 == batch.targets).all()


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_leave_out_the_same(damaged: str, world: int) -> None:
    ranks = [Stream(damaged, PREPROCESS, trust=True, rank=rank, world=world) for rank in range(world)]
    numbers = {number for one in ranks for batch in shown(one) for number in batch}
    assert numbers == set(range(120)) - {3, 4, 59, 70}
    assert {each.name for one in ranks for each in one.lost} == {"000003", "000004", "000059", "000070"}


def test_nothing_is_decoded_before_an_epoch(damaged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shard_entry, "decode_bands", lambda *_, **__: pytest.fail("decoded"))
        trusted = data.open(damaged, read_as={"trust": True})
    assert trusted.read_as == {"trust": True}
    checked = data.open(damaged)
    assert [each.name for each in checked.unreadable] == ["000003", "000004", "000059", "000070"]
    assert len(checked.samples) == 116
    known = {sample.name: sample.digest for sample in trusted.samples}
    assert all(known[sample.name] == sample.digest for sample in checked.samples)
    again = data.open(damaged, read_as={"trust": True})
    assert again.fingerprint == trusted.fingerprint, "an index that was checked meanwhile changes no trusted set"


def test_kept_pictures_are_left_out_before(damaged: str) -> None:
    stream = Stream(damaged, PREPROCESS, trust=True, keep_bytes=1 << 20)
    assert [each.name for each in stream.read()] == ["000003", "000004", "000059", "000070"]
    assert (stream.pixels(np.arange(116))[:, 0, 0, 0] % 10 == stream.targets).all()


def test_a_checked_picture_that_cannot_be_decoded_ends_training_with_a_way_out(
    tmp_path: Path, write_shards: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:  # a machine with other decoders made the index
        address = write_shards(tmp_path / "set", {"train": [20]})
        damage(tmp_path / "set" / "train-000.tar", 3)
        patched.setattr(shard_entry, "decode_bands", lambda *_, **__: None)
        data.open(address)
    with pytest.raises(SourceError, match=r"cannot read 000003: .*could be read when its shard was indexed.*--trust"):
        shown(Stream(address, PREPROCESS))


@pytest.mark.parametrize("places", [range(11, 40), range(40)])
def test_a_stream_that_is_mostly_unreadable_ends(
    places: Sequence[int], tmp_path: Path, write_shards: Callable[..., str]
) -> None:
    address = write_shards(tmp_path / "set", {"train": [40]})
    damage(tmp_path / "set" / "train-000.tar", *places)
    with pytest.raises(SourceError, match=r"of 40 pictures so far, .* cannot be read; the first: cannot read 0000"):
        shown(Stream(address, PREPROCESS, trust=True))


def test_trust_is_for_shards(damaged: str, draw_folder: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="trust is for streamed shards; the pictures of pets are read as files"):
        data.open(draw_folder({"a": 3, "b": 3}), read_as={"trust": True})
    with pytest.raises(InputError, match=r"ending belongs to a table or a folder, which .* is not"):
        data.open(damaged, read_as={"trust": True, "ending": ".jpg"})
    with pytest.raises(InputError, match="trust is for an address; open the source with read_as="):
        Stream(data.open(damaged), PREPROCESS, trust=True)
    assert len(Stream(data.open(damaged, read_as={"trust": True}), PREPROCESS, trust=True)) == 120
    with pytest.raises(InputError, match="trust is true or false, not str 'yes'"):
        data.open(damaged, read_as={"trust": "yes"})

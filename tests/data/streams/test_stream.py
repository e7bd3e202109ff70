"""Streamed shards: each rank sees its share once, and a stop in the middle resumes at the next sample."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.extras import missing_part
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Batch, Stream
from pennyweight.data.readers.braces import expand_braces
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shard_index import Index
from pennyweight.data.readers.shards import open_shards
from pennyweight.data.readers.storage import Folder

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = Augment(flip=False, shift=0.0)
MOVED = Augment(flip=True, shift=0.25)
Write = Callable[..., str]


def numbers(batches: Iterable[Batch]) -> list[int]:
    """The samples' numbers, from their pixels; their classes agree."""
    found = []
    for batch in batches:
        ids = np.asarray(batch.pixels)[:, 0, 0].astype(int) @ [1, 256, 65536]
        assert (ids % 10 == batch.targets).all()
        found += ids.tolist()
    return found


def stream(address: str, **options: Any) -> Stream:
    return Stream(address, PREPROCESS, **options)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PENNYWEIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, write_shards: Write) -> str:
    return write_shards(tmp_path_factory.mktemp("shards"), {"train": [100] * 4})


@pytest.mark.parametrize("world", [1, 3, *(pytest.param(world, marks=pytest.mark.slow) for world in (2, 4))])
def test_the_ranks_see_everything_once_in_as_many_steps(address: str, world: int) -> None:
    shares = [
        list(stream(address, rank=rank, world=world).epoch(1, batch=16, seed=0, augment=PLAIN)) for rank in range(world)
    ]
    assert sorted(number for share in shares for number in numbers(share)) == list(range(400))
    assert {len(share) for share in shares} == {25}
    for step in zip(*shares, strict=True):
        assert {batch.size for batch in step} == {sum(len(batch.targets) for batch in step)}
        assert max(len(batch.targets) for batch in step) - min(len(batch.targets) for batch in step) <= 1


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_ranks_sees_the_same_global_batches(tmp_path: Path, write_shards: Write, world: int) -> None:
    uneven = write_shards(tmp_path, {"train": [90, 10, 147]})

    def batches(rank: int, world: int) -> list[list[int]]:
        one = stream(uneven, rank=rank, world=world)
        return [numbers([batch]) for batch in one.epoch(2, batch=32, seed=1, augment=PLAIN)]

    whole = batches(0, 1)
    shares = [batches(rank, world) for rank in range(world)]
    assert [sorted(chain.from_iterable(step)) for step in zip(*shares, strict=True)] == [
        sorted(batch) for batch in whole
    ]


@pytest.mark.slow
def test_ranks_read_about_their_share(tmp_path: Path, write_shards: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stream(write_shards(tmp_path, {"train": [900, 100]}), rank=0, world=2)
    read, inner = [0], Shard.read

    def counted(self: Shard, start: int, stop: int) -> bytes:
        read[0] += stop - start
        return inner(self, start, stop)

    monkeypatch.setattr(Shard, "read", counted)
    assert len(numbers(one.epoch(1, batch=100, seed=0, augment=PLAIN))) == 500
    stored = sum(path.stat().st_size for path in tmp_path.glob("*.tar"))
    assert read[0] < 0.75 * stored


def test_epochs_and_seeds_have_orders_of_their_own(address: str) -> None:
    orders = [
        numbers(stream(address).epoch(e, batch=16, seed=s, augment=PLAIN)) for e, s in ((1, 0), (2, 0), (1, 1), (1, 0))
    ]
    assert orders[0] == orders[3]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_what_changes_a_picture_is_drawn_for_it_alone(address: str) -> None:
    def changed(**options: Any) -> dict[int, bytes]:
        one = stream(address, **options)
        plain, moved = (one.epoch(1, batch=16, seed=0, augment=augment) for augment in (PLAIN, MOVED))
        return {
            number: pixels.tobytes()
            for before, after in zip(plain, moved, strict=True)
            for number, pixels in zip(numbers([before]), after.pixels, strict=True)
        }

    whole = changed()
    shares = changed(rank=0, world=2) | changed(rank=1, world=2)
    assert whole == shares
    assert whole == changed(buffer=100_000)
    assert len({bytes(pixels[-3:]) for pixels in whole.values()}) > 1


@pytest.mark.parametrize("start", [7, *(pytest.param(start, marks=pytest.mark.slow) for start in (1, 4, 24))])
@pytest.mark.parametrize("world", [1, 2])
def test_a_stop_in_the_middle_resumes_at_the_next_sample(address: str, start: int, world: int) -> None:
    def batches(one: Stream, **options: int) -> list[bytes]:
        return [batch.pixels.tobytes() for batch in one.epoch(3, batch=16, seed=0, augment=MOVED, **options)]

    whole = batches(stream(address, world=world))
    assert batches(stream(address, world=world), start=start) == whole[start:]
    first = stream(address, world=world)
    epoch = first.epoch(3, batch=16, seed=0, augment=MOVED)
    before = [next(epoch).pixels.tobytes() for _ in range(start)]
    epoch.close()
    second = stream(address, world=world)
    second.resume(json.loads(json.dumps(first.state())))
    assert before + batches(second) == whole


def test_what_is_done_is_not_read_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    inner = Shard.read

    def counted(self: Shard, start: int, stop: int) -> bytes:
        read.append(stop - start)
        return inner(self, start, stop)

    one = stream(address)
    monkeypatch.setattr(Shard, "read", counted)
    assert len(numbers(one.epoch(1, batch=16, seed=0, augment=PLAIN))) == 400
    whole, read = sum(read), []
    assert len(numbers(one.epoch(1, batch=16, seed=0, augment=PLAIN, start=24))) == 16
    assert sum(read) < 0.2 * whole


def test_shards_are_read_once_to_be_known_and_again_when_they_change(
    tmp_path: Path, write_shards: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = write_shards(tmp_path, {"train": [30]})
    known = data.open(address)
    with monkeypatch.context() as patched:
        patched.setattr(Shard, "examples", lambda self: pytest.fail("read again"))
        assert data.open(address).fingerprint == known.fingerprint
    write_shards(tmp_path, {"train": [40]})
    assert len(data.open(address).samples) == 40


def test_a_full_disk_is_one_line_and_remembers_nothing(
    tmp_path: Path, write_shards: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Folder, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(SourceError, match=r"cannot keep the index of .*\.tar in .*: No space left on device"):
        data.open(write_shards(tmp_path, {"train": [30]}))
    assert list((tmp_path / ".pennyweight").iterdir()) == []


def test_shards_on_disk_need_no_extra(tmp_path: Path, write_shards: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert len(data.open(write_shards(tmp_path, {"train": [30]})).samples) == 30
    for address, module in {"s3://bucket/{a,b}.tar": "fsspec", "hf:owner/set": "datasets"}.items():
        with pytest.raises(ModuleNotFoundError) as raised:
            data.open(address)
        assert "[scale]'" in str(missing_part(raised.value))
        assert raised.value.name == module


def test_many_bands_are_streamed_and_measured(tmp_path: Path, add_sample: Callable[..., None]) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w") as tape:
        for number in range(70):
            file = io.BytesIO()
            np.save(file, np.full((8, 8, 5), number, np.uint8))
            add_sample(tape, f"{number:03d}", npy=file.getvalue(), cls=b"%d" % (number % 2))
    opened = data.open(tmp_path / "train-0.tar")
    assert opened.channels == 5
    one = Stream(opened, Preprocess.for_input(8, channels=5))
    mean, std = data.channel_statistics(one)
    assert mean == pytest.approx([34.5 / 255] * 5, abs=1e-4)
    assert std == pytest.approx([np.arange(70).std() / 255] * 5, abs=1e-4)


def test_a_shard_that_changed_under_a_training_is_named(tmp_path: Path, write_shards: Write) -> None:
    one = stream(write_shards(tmp_path, {"train": [30]}))
    write_shards(tmp_path, {"train": [20]})
    with pytest.raises(SourceError, match=r"train-000\.tar has changed since it was first read: "):
        list(one.epoch(1, batch=8, seed=0, augment=PLAIN))


def test_a_picture_that_cannot_be_read_is_left_out_and_named(
    tmp_path: Path, write_shards: Write, add_sample: Callable[..., None]
) -> None:
    address = write_shards(tmp_path, {"train": [20]})
    with tarfile.open(tmp_path / "train-000.tar", "a") as tape:
        add_sample(tape, "torn", png=b"no picture", cls=b"3")
    one = stream(address)
    assert sorted(numbers(one.epoch(0, batch=8, seed=0, augment=PLAIN))) == list(range(20))
    assert [each.name for each in one.unreadable] == ["torn"]
    with tarfile.open(tmp_path / "train-000.tar", "a") as tape:
        add_sample(tape, "last", png=b"no picture either", cls=b"10")
    with pytest.raises(SourceError, match=r"class '10' of .* has no picture that can be read; the first lost is torn"):
        data.open(address)


def test_in_order_and_one_by_one_they_are_the_same_pictures(address: str) -> None:
    one = stream(address)
    assert numbers(one.in_order(64)) == list(range(400))
    some = np.array([399, 0, 120])
    assert (one.pixels(some)[:, 0, 0, 0] == some % 256).all()
    kept = stream(address, keep_bytes=1 << 20)
    assert kept.read() == ()
    assert kept.kept
    assert np.array_equal(kept.pixels(some), one.pixels(some))
    sample = one.samples[120]
    assert np.array_equal(PREPROCESS(sample.read()), one.pixels(np.array([120]))[0])


def test_splits_are_those_of_the_names_and_else_by_content(tmp_path: Path, write_shards: Write) -> None:
    named = data.split(data.open(write_shards(tmp_path / "a", {"train": [40], "valid": [20], "test": [30]})))
    assert named.counts == {"train": 40, "val": 20, "test": 30}
    plain = data.open(write_shards(tmp_path / "b", {"part": [200]}))
    assert not plain.has_splits
    parts = data.make_split_pictures(plain, data.split(plain), PREPROCESS)
    shown = {name: numbers(part.in_order(16)) for name, part in parts.items()}
    assert sorted(number for part in shown.values() for number in part) == list(range(200))
    assert sorted(numbers(parts["train"].epoch(1, batch=16, seed=0, augment=PLAIN))) == sorted(shown["train"])
    assert data.open(tmp_path / "b").fingerprint == plain.fingerprint
    assert data.open(tmp_path / "b" / "part-000.tar").fingerprint == plain.fingerprint


def test_labels_name_the_classes(tmp_path: Path, write_shards: Write, add_sample: Callable[..., None]) -> None:
    names = [f"class {number}" for number in range(10)]
    assert Index.load(stream(write_shards(tmp_path / "a", {"train": [30]}))._index.shards).source(
        names
    ).labels == tuple(names)
    (tmp_path / "b").mkdir()
    picture = stream(write_shards(tmp_path / "a", {"train": [30]})).samples[0].read()
    with tarfile.open(tmp_path / "b" / "train-0.tar", "w") as tape:
        for number, label in enumerate(("hen", "cat")):
            add_sample(tape, str(number), png=picture, label=label.encode())
    address = str(tmp_path / "b" / "{train-0}.tar")
    assert data.open(address).labels == ("cat", "hen")
    assert stream(address, labels=["hen", "cow", "cat"]).targets.tolist() == [0, 2]
    with pytest.raises(SourceError, match="class 'hen' that is not among the labels"):
        stream(address, labels=["cow", "cat"])


def test_what_a_stream_cannot_do_is_said(address: str) -> None:
    with pytest.raises(SourceError, match="rank 2 of 2"):
        stream(address, rank=2, world=2)
    with pytest.raises(InputError, match="--set balance=weights"):
        data.Balance.of(np.array([0] * 30 + [1]), 2, "sampling", streamed=True)
    assert data.Balance.of(np.array([0] * 30 + [1]), 2, streamed=True).how == "weights"


def test_what_is_no_address_of_shards_is_said(tmp_path: Path) -> None:
    assert expand_braces("s3://b/{a,b}-{08..10}.tar") == [
        f"s3://b/{letter}-{number}.tar" for letter in "ab" for number in ("08", "09", "10")
    ]
    assert expand_braces("{train-{0..1},val}.tar") == ["train-0.tar", "train-1.tar", "val.tar"]
    for address, said in {
        "http://host/pictures.zip": "is no address of shards",
        "hf:": "hf: names no set",
        "{a,b.tar": "a brace without its partner",
        "a}.{tar,b}.tar": "a brace without its partner",
        "{1..99999999}.tar": "stands for 99,999,999 addresses, and 1,000,000 are the most; divide it",
        "{1..2000}{a,{1..1000}}.tar": "stands for 2,002,000 addresses, and 1,000,000 are the most",
        "{0..999999999999999999}{1..9}.tar": "stands for too many addresses",
        "{5..1}.tar": "counts down from 5 to 1; write the smaller number first",
        "{" * 99 + "}" * 99: "more than 20 braces within each other",
        str(tmp_path / "{a,b}.tar"): r"cannot read .*a\.tar: there is no such file",
    }.items():
        with pytest.raises(SourceError, match=said):
            open_shards(address).stamps  # noqa: B018 - the last shows when it is asked for


@pytest.mark.slow
def test_two_ranks_of_thousands(tmp_path: Path, write_shards: Write) -> None:
    address = write_shards(tmp_path, {"train": [417] * 12})
    ranks = [stream(address, rank=rank, world=2) for rank in range(2)]
    shares = [numbers(one.epoch(0, batch=256, seed=0, augment=PLAIN)) for one in ranks]
    assert abs(len(shares[0]) - len(shares[1])) <= 40  # one in each batch, at most
    assert sorted(shares[0] + shares[1]) == list(range(12 * 417))
    epoch = ranks[0].epoch(1, batch=256, seed=0, augment=PLAIN)
    before = numbers(next(epoch) for _ in range(10))
    epoch.close()
    resumed = stream(address, rank=0, world=2)
    resumed.resume(ranks[0].state())
    after = numbers(resumed.epoch(1, batch=256, seed=0, augment=PLAIN))
    assert not set(before) & set(after)
    assert before + after == numbers(ranks[0].epoch(1, batch=256, seed=0, augment=PLAIN))

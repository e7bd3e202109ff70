"""Batches of a stream resemble the set, however it was packed, within a bounded memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Stream
from pennyweight.data.readers.shard import Shard
from pennyweight.data.streams.order import Layout, Planner, diversity
from pennyweight.data.streams.run_reader import RunReader

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = Augment(flip=False, shift=0.0)
CLASSES, EACH, BATCH = 10, 60, 30
BY_CLASS = np.repeat(np.arange(CLASSES), EACH)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


def png(number: int) -> bytes:
    pixels = np.empty((8, 8, 3), np.uint8)
    pixels[:] = number % 256, number // 256, 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


PNGS = [png(number) for number in range(CLASSES * EACH)]


def tars(folder: Path, labels: Sequence[int], files: int, mode: str = "w") -> str:
    ending = "tar" if mode == "w" else "tar.gz"
    for file, part in enumerate(np.array_split(np.arange(len(labels)), files)):
        with tarfile.open(folder / f"train-{file:02d}.{ending}", mode) as tape:  # type: ignore[call-overload]
            for number in part.tolist():
                for kind, content in (("png", PNGS[number]), ("cls", str(labels[number]).encode())):
                    info = tarfile.TarInfo(f"{number:05d}.{kind}")
                    info.size = len(content)
                    tape.addfile(info, io.BytesIO(content))
    return str(folder / f"train-{{00..{files - 1:02d}}}.{ending}")


def table(folder: Path, labels: Sequence[int], rows: int) -> str:
    pictures = [{"bytes": content, "path": None} for content in PNGS[: len(labels)]]
    values = pa.table({"image": pictures, "label": [int(label) for label in labels]})
    pq.write_table(values, folder / "train-00.parquet", row_group_size=rows)
    return str(folder / "{train-00}.parquet")


LAYOUTS: dict[str, Callable[[Path], str]] = {
    "a tar a class": lambda folder: tars(folder, BY_CLASS, 10),
    "one tar": lambda folder: tars(folder, BY_CLASS, 1),
    "seven tars": lambda folder: tars(folder, BY_CLASS, 7),
    "compressed": lambda folder: tars(folder, BY_CLASS, 10, "w:gz"),
    "small row groups": lambda folder: table(folder, BY_CLASS, 50),
    "one row group": lambda folder: table(folder, BY_CLASS, 10_000),
    "mixed": lambda folder: tars(folder, np.random.default_rng(0).permutation(BY_CLASS), 3),
}


def classes(targets: Sequence[np.ndarray[Any, Any]]) -> float:
    """Mean exponential of the entropy of the classes in a batch."""
    shares = [np.bincount(batch) / len(batch) for batch in targets]
    return float(np.mean([np.exp(-sum(p * np.log(p) for p in share if p)) for share in shares]))


@pytest.fixture(scope="module")
def mixed_classes() -> float:
    shuffled = np.random.default_rng(1).permutation(BY_CLASS)
    return classes([shuffled[at : at + BATCH] for at in range(0, len(shuffled) - BATCH, BATCH)])


FEW = ("a tar a class", "small row groups")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in LAYOUTS]
)
def test_a_batch_has_the_classes_of_a_mixed_one_however_shards_are_packed(
    tmp_path: Path, name: str, mixed_classes: float
) -> None:
    one = Stream(LAYOUTS[name](tmp_path), PREPROCESS)
    batches = list(one.epoch(1, batch=BATCH, seed=0, augment=PLAIN))
    seen = np.concatenate([np.asarray(batch.pixels)[:, 0, 0].astype(int) @ [1, 256, 0] for batch in batches])
    assert sorted(seen.tolist()) == list(range(len(BY_CLASS)))
    found = [batch.targets for batch in batches]
    assert classes(found) >= 0.95 * mixed_classes
    assert classes(found[:5]) >= 0.9 * mixed_classes
    assert classes(found[-5:]) >= 0.9 * mixed_classes
    assert "each batch draws from the whole stream" in one.order_note(BATCH)


def test_a_file_that_cannot_be_mixed_is_said_with_its_classes(tmp_path: Path) -> None:
    one = Stream(tars(tmp_path, BY_CLASS, 1, "w:gz"), PREPROCESS, buffer=60_000)
    note = one.order_note(BATCH)
    found = classes([batch.targets for batch in one.epoch(1, batch=BATCH, seed=0, augment=PLAIN)])
    assert found < 5
    assert f"batches will hold {found:.0f}" in note.replace(".", " ", 1) or abs(float(note.split()[3]) - found) < 0.3
    assert "pennyweight pack" in note


@pytest.mark.parametrize(
    "name", ["one tar", *(pytest.param(name, marks=pytest.mark.slow) for name in ("compressed", "small row groups"))]
)
def test_a_resumed_epoch_has_the_same_bytes(tmp_path: Path, name: str) -> None:
    address = LAYOUTS[name](tmp_path)
    moved = Augment(flip=True, shift=0.25)

    def batches(**options: int) -> list[bytes]:
        one = Stream(address, PREPROCESS, buffer=100_000)
        return [batch.pixels.tobytes() for batch in one.epoch(2, batch=BATCH, seed=3, augment=moved, **options)]

    whole = batches()
    assert batches(start=9) == whole[9:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compressed", "seven tars", "small row groups"])
def test_ranks_together_see_what_one_sees(tmp_path: Path, name: str) -> None:
    address = LAYOUTS[name](tmp_path)

    def batches(rank: int, world: int) -> list[list[bytes]]:
        one = Stream(address, PREPROCESS, rank=rank, world=world)
        return [[row.tobytes() for row in batch.pixels] for batch in one.epoch(1, batch=50, seed=0, augment=PLAIN)]

    whole = [sorted(batch) for batch in batches(0, 1)]
    for world in (2, 3):
        shares = [batches(rank, world) for rank in range(world)]
        assert [sorted(chain.from_iterable(step)) for step in zip(*shares, strict=True)] == whole


@pytest.mark.slow
def test_memory_is_bounded_in_bytes_with_pictures_of_five_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w") as tape:
        for number in range(16):
            pixels = np.full((1300, 1300, 3), number, np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=0)
            for kind, content in (("png", file.getvalue()), ("cls", b"%d" % (number % 2))):
                info = tarfile.TarInfo(f"{number:03d}.{kind}")
                info.size = len(content)
                tape.addfile(info, io.BytesIO(content))
    held = [0]
    inner = RunReader._has_room

    def counted(self: RunReader, count: int, waits: int) -> bool:
        held[0] = max(held[0], self._held_bytes + self._memory.nbytes)
        return inner(self, count, waits)

    monkeypatch.setattr(RunReader, "_has_room", counted)
    one = Stream(str(tmp_path / "{train-0}.tar"), PREPROCESS, buffer=64_000_000)
    assert sum(len(batch.targets) for batch in one.epoch(0, batch=8, seed=0, augment=PLAIN)) == 16
    assert 5_000_000 < held[0] <= 64_000_000


def test_a_buffer_without_room_for_batches_is_refused_with_one_that_has(tmp_path: Path) -> None:
    address = tars(tmp_path, BY_CLASS, 2)
    with pytest.raises(
        InputError, match=r"room for \d+ pictures of 196,608 bytes; batches of 30 need 60: give it"
    ) as no:
        Stream(address, Preprocess(size=224, resize=256), buffer=10_000_000, margin=True).order_note(BATCH)
    least = int(str(no.value).rpartition("give it ")[2].split("MB")[0]) * 1_000_000
    assert Stream(address, Preprocess(size=224, resize=256), buffer=least, margin=True).order_note(BATCH)


def test_runs_are_as_long_as_memory_lets_them_mix() -> None:
    count, room = 20_000, 1_500
    labels = np.repeat(np.arange(100), count // 100)
    layout = Layout(labels, np.zeros(count, np.int64), np.arange(count) * 500, np.full(count, -1))
    bounds = np.arange(0, count + 1, 100)
    small, large = (Planner(layout, bounds, held, 8) for held in (room, 8 * room))
    assert 2 * len(large.runs.starts) <= len(small.runs.starts) < count
    mixed = diversity(labels, np.random.default_rng(0).permutation(count), bounds)
    for seed in range(3):
        order = small.share(seed, 1)
        assert order.peak <= room
        assert diversity(labels, order.numbers, bounds) > 0.95 * mixed


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(("room", "start"), [(400, 0), (2_000, 0), (100_000, 0), (100_000, 7)])
def test_files_read_from_their_start_are_open_side_by_side_as_memory_allows(lanes: int, room: int, start: int) -> None:
    count, each = 2_000, 100
    sequences = np.arange(count) // each
    sequences[:500] = -1  # pictures that are read alone
    layout = Layout(np.arange(count) // 200, np.zeros(count, np.int64), np.arange(count) * 500, sequences)
    planner = Planner(layout, np.arange(0, count + 1, 50), room, lanes)
    for order in (planner.share(0, 1), planner.share(0, 1, 1, 2)):
        is_open, most, read = set[int](), 0, list[int]()
        last = dict.fromkeys(range(20), -1)
        for turn in order.reads(start):
            read += turn.numbers.tolist()
            if turn.sequence < 0:
                continue
            is_open.add(turn.sequence)
            most = max(most, len(is_open))
            assert turn.run > last[turn.sequence]
            last[turn.sequence] = turn.run
            if turn.last:
                is_open.remove(turn.sequence)
        assert most <= lanes
        assert not is_open
        assert sorted(read) == sorted(order.numbers[order.bounds[start] :].tolist())


def test_an_error_of_reading_ends_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Stream(tars(tmp_path, BY_CLASS, 2), PREPROCESS)

    def fails(self: Shard, start: int, stop: int) -> bytes:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Shard, "read", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        list(one.epoch(1, batch=BATCH, seed=0, augment=PLAIN))


def test_an_epoch_may_be_left_at_any_time(tmp_path: Path) -> None:
    one = Stream(tars(tmp_path, BY_CLASS, 2), PREPROCESS, buffer=100_000)
    for taken in (0, 1, 5):
        epoch: Iterator[Any] = one.epoch(1, batch=BATCH, seed=0, augment=PLAIN)
        for _ in range(taken):
            next(epoch)
        epoch.close()  # type: ignore[attr-defined]

"""Streamed shards: each rank sees its share once, and a stop in the middle resumes at the next sample."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from pennyweight.core.errors import SourceError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment
from pennyweight.data.stream import Stream, shards

pytest.importorskip("datasets", reason="streams need the extra scale")

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = Augment(flip=False, shift=0.0)


def write_shards(folder: Path, count: int, each: int) -> str:
    """`count` tar files of `each` PNG pictures whose pixels, and class, are the sample's number."""
    folder.mkdir(exist_ok=True)
    for shard in range(count):
        with tarfile.open(folder / f"train-{shard:03d}.tar", "w") as tape:
            for number in range(shard * each, (shard + 1) * each):
                file = io.BytesIO()
                colour = (number % 256, number // 256 % 256, number // 65536)
                Image.new("RGB", (8, 8), colour).save(file, "PNG", compress_level=0)
                for name, content in (("png", file.getvalue()), ("cls", str(number % 10).encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{name}")
                    info.size = len(content)
                    tape.addfile(info, io.BytesIO(content))
    return str(folder / f"train-{{000..{count - 1:03d}}}.tar")


def numbers(batches: object) -> list[int]:
    """The samples' numbers, from their pixels; their classes agree."""
    found = []
    for pixels, targets, _ in batches:
        ids = pixels[:, 0, 0].astype(int) @ [1, 256, 65536]
        assert (ids % 10 == targets).all()
        found += ids.tolist()
    return found


def stream(address: str, **options: int) -> Stream:
    return Stream(address, PREPROCESS, **{"block": 64, **options})


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_shards(tmp_path_factory.mktemp("shards"), 4, 100)


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_the_ranks_see_everything_once(address: str, world: int) -> None:
    shares = [
        numbers(stream(address, rank=rank, world=world).epoch(1, batch=16, seed=0, augment=PLAIN))
        for rank in range(world)
    ]
    assert sorted(number for share in shares for number in share) == list(range(400))
    assert min(map(len, shares)) >= 400 // world - 100


def test_epochs_and_seeds_have_orders_of_their_own(address: str) -> None:
    orders = [
        numbers(stream(address).epoch(e, batch=16, seed=s, augment=PLAIN)) for e, s in ((1, 0), (2, 0), (1, 1), (1, 0))
    ]
    assert orders[0] == orders[3]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


@pytest.mark.parametrize("stop", [1, 4, 7, 12])
@pytest.mark.parametrize("world", [1, 2])
def test_a_stop_in_the_middle_resumes_at_the_next_sample(address: str, stop: int, world: int) -> None:
    augment = Augment(flip=True, shift=0.25)

    def batches(one: Stream) -> list[bytes]:
        return [batch.pixels.tobytes() for batch in one.epoch(3, batch=16, seed=0, augment=augment)]

    whole = batches(stream(address, world=world))
    first = stream(address, world=world)
    epoch = first.epoch(3, batch=16, seed=0, augment=augment)
    before = [next(epoch).pixels.tobytes() for _ in range(stop)]
    epoch.close()
    second = stream(address, world=world)
    second.resume(json.loads(json.dumps(first.state())))
    assert before + batches(second) == whole


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    address = write_shards(tmp_path, 1, 20)
    with tarfile.open(tmp_path / "train-000.tar", "a") as tape:
        for name, content in (("png", b"no picture"), ("cls", b"3")):
            info = tarfile.TarInfo(f"torn.{name}")
            info.size = len(content)
            tape.addfile(info, io.BytesIO(content))
    one = stream(address)
    assert sorted(numbers(one.epoch(0, batch=8, seed=0, augment=PLAIN))) == list(range(20))
    assert [each.name for each in one.unreadable] == ["torn"]


def test_addresses_with_braces() -> None:
    assert shards("s3://bucket/{a,b}-{08..10}.tar") == tuple(
        f"s3://bucket/{letter}-{number}.tar" for letter in "ab" for number in ("08", "09", "10")
    )
    with pytest.raises(SourceError, match="no address of shards"):
        shards("pictures.zip")
    with pytest.raises(SourceError, match="rank 2 of 2"):
        stream("a.tar", rank=2, world=2)


@pytest.mark.slow
def test_two_ranks_of_thirty_thousand(tmp_path: Path) -> None:
    address = write_shards(tmp_path, 12, 5000)
    ranks = [stream(address, rank=rank, world=2, block=2048) for rank in range(2)]
    shares = [numbers(one.epoch(0, batch=256, seed=0, augment=PLAIN)) for one in ranks]
    assert [len(share) for share in shares] == [30_000, 30_000]
    assert sorted(shares[0] + shares[1]) == list(range(60_000))
    epoch = ranks[0].epoch(1, batch=256, seed=0, augment=PLAIN)
    before = numbers(next(epoch) for _ in range(60))
    epoch.close()
    resumed = stream(address, rank=0, world=2, block=2048)
    resumed.resume(ranks[0].state())
    after = numbers(resumed.epoch(1, batch=256, seed=0, augment=PLAIN))
    assert len(before) == 60 * 256
    assert len(before) + len(after) == 30_000
    assert not set(before) & set(after)

"""Pictures as arrays, and the batches of an epoch."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from pennyweight import data
from pennyweight.core import retries
from pennyweight.core.errors import ImageError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Pictures, Sample
from pennyweight.data.decoded_cache import DecodedCache
from pennyweight.data.single_thread import limit_to_one_thread

OFF = Augment(flip=False, shift=0.0)
ON = Augment(flip=True, shift=0.25)
PREPROCESS = Preprocess.for_input(8, channels=1)


def numbered(count: int) -> list[Sample]:
    """Plain grey pictures whose every pixel, and whose class, is their number."""
    return [Sample(np.full((8, 8), n, np.uint8), n, f"{n:064x}", None, str(n)) for n in range(count)]


def drawn(count: int, noise: Callable[..., np.ndarray]) -> list[Sample]:
    return [Sample(noise(8, 8, None, seed=n), n, f"{n:064x}", None, str(n)) for n in range(count)]


def test_pictures_are_what_preprocessing_makes_of_files(draw_folder: Callable[..., Path]) -> None:
    source = data.open(draw_folder({"a": 4, "b": 3}, side=50))
    preprocess = Preprocess(size=32, resize=40)
    pictures = Pictures(source.samples, preprocess)
    batches = list(pictures.in_order(3))
    assert [len(batch.pixels) for batch in batches] == [3, 3, 1]
    expected = np.stack([preprocess(sample.picture) for sample in source.samples])
    assert np.array_equal(np.concatenate([batch.pixels for batch in batches]), expected)
    assert np.concatenate([batch.targets for batch in batches]).tolist() == [s.label for s in source.samples]
    assert len(pictures) == 7


@pytest.mark.parametrize("keep_bytes", [0, 7 * 64 - 1, 7 * 64])
@pytest.mark.parametrize("read", [False, True])
def test_keeping_in_memory_changes_nothing(noise, keep_bytes: int, read: bool) -> None:
    pictures = Pictures(drawn(7, noise), PREPROCESS, keep_bytes=keep_bytes)
    kept = Pictures(drawn(7, noise), PREPROCESS)
    kept.read()
    if read:
        pictures.read()
    assert pictures.fits == (keep_bytes >= 7 * 64)
    for ours, theirs in (
        (pictures.in_order(2), kept.in_order(2)),
        (pictures.epoch(3, batch=4, seed=1, augment=ON), kept.epoch(3, batch=4, seed=1, augment=ON)),
    ):
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.pixels, other.pixels)
            assert np.array_equal(one.targets, other.targets)


def test_what_is_kept_is_read_once(tmp_path: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"a": 2, "b": 2})
    pictures = Pictures(data.open(root).samples, Preprocess.for_input(32))
    advanced: list[int] = []
    pictures.read(advanced.append)
    assert advanced == [1, 1, 1, 1]
    for path in root.rglob("*.png"):
        path.unlink()
    assert len(next(pictures.in_order(4)).pixels) == 4


@pytest.mark.parametrize("keep", ["in memory", "in the cache", "not at all"])
def test_what_cannot_be_read_is_left_out_and_named(draw_folder: Callable[..., Path], tmp_path: Path, keep: str) -> None:
    root = draw_folder({"a": 3, "b": 3})
    damaged = sorted((root / "b").iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-200])
    source = data.open(root)
    cache = DecodedCache(tmp_path / "cache") if keep == "in the cache" else None
    for _ in range(2):  # the second time from the cache
        pictures = Pictures(
            source.samples, Preprocess.for_input(32), keep_bytes=1 << 30 if keep == "in memory" else 0, cache=cache
        )
        ((name, reason),) = pictures.read()
        assert name == f"b/{damaged.name}"
        assert "truncated" in reason
        assert len(pictures) == 5
        whole = [sample.picture for sample in source.samples if sample.picture != damaged]
        expected = np.stack([Preprocess.for_input(32)(path) for path in whole])
        assert np.array_equal(np.concatenate([batch.pixels for batch in pictures.in_order(2)]), expected)
        epoch = pictures.epoch(0, batch=2, seed=0, augment=OFF)
        assert sorted(np.concatenate([batch.targets for batch in epoch]).tolist()) == [0, 0, 0, 1, 1]


def test_without_reading_first_a_damaged_picture_stops_with_its_name(draw_folder: Callable[..., Path]) -> None:
    damaged = next(draw_folder({"a": 3, "b": 3}).rglob("*.png"))
    damaged.write_bytes(damaged.read_bytes()[:-200])
    pictures = Pictures(data.open(damaged.parents[1]).samples, Preprocess.for_input(32))
    with pytest.raises(ImageError, match=damaged.name):
        list(pictures.in_order(2))


def test_a_file_that_goes_in_training_ends_it_with_the_reason(draw_folder: Callable[..., Path]) -> None:
    opened = data.open(draw_folder({"a": 4, "b": 4}))
    pictures = Pictures(opened.samples, PREPROCESS, keep_bytes=0)
    assert pictures.read() == ()
    lost = opened.samples[5].picture
    assert isinstance(lost, Path)
    lost.unlink()
    with pytest.raises(ImageError, match=r"no picture at .*; it could be read before, so its file has changed"):
        list(pictures.epoch(1, batch=4, seed=0, augment=OFF))


def test_a_disk_that_fails_for_a_moment_is_asked_again(
    draw_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = data.open(draw_folder({"a": 4, "b": 4}))
    pictures = Pictures(opened.samples, PREPROCESS, keep_bytes=0)
    read, failed = Path.read_bytes, list[Path]()

    def failing(self: Path) -> bytes:
        if self not in failed:
            failed.append(self)
            raise OSError(errno.EIO, "Input/output error")
        return read(self)

    monkeypatch.setattr(retries, "WAIT_S", 0.0)
    whole = [batch.pixels.tobytes() for batch in pictures.epoch(1, batch=4, seed=0, augment=OFF)]
    monkeypatch.setattr(Path, "read_bytes", failing)
    assert [batch.pixels.tobytes() for batch in pictures.epoch(1, batch=4, seed=0, augment=OFF)] == whole
    assert len(failed) == 8


@pytest.mark.parametrize("batch", [2, 3, 7, 32, 1000])
def test_an_epoch_shows_each_picture_once_with_its_class(batch: int) -> None:
    batches = list(Pictures(numbered(101), PREPROCESS).epoch(1, batch=batch, seed=0, augment=OFF))
    shown = np.concatenate([batch.pixels[:, 0, 0, 0] for batch in batches])
    targets = np.concatenate([batch.targets for batch in batches])
    assert sorted(shown.tolist()) == list(range(101))
    assert np.array_equal(shown, targets)


def test_batches_that_are_done_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures(numbered(101), PREPROCESS)
    whole = [batch.pixels.tobytes() for batch in pictures.epoch(2, batch=16, seed=0, augment=ON)]
    asked: list[int] = []
    decode = Pictures._decode
    monkeypatch.setattr(Pictures, "_decode", lambda self, number: (asked.append(number), decode(self, number))[1])
    rest = [batch.pixels.tobytes() for batch in pictures.epoch(2, batch=16, seed=0, augment=ON, start=5)]
    assert rest == whole[5:]
    assert len(asked) == 101 - sum(len(batch) for batch in np.array_split(np.arange(101), 7)[:5])


def order(epoch: int, seed: int, count: int = 100) -> list[int]:
    batches = Pictures(numbered(count), PREPROCESS).epoch(epoch, batch=16, seed=seed, augment=OFF)
    return np.concatenate([batch.targets for batch in batches]).tolist()


def test_the_order_goes_by_seed_and_epoch() -> None:
    assert order(1, 0) == order(1, 0)
    orders = [order(1, 0), order(2, 0), order(1, 1), order(2, 1), list(range(100))]
    for number, one in enumerate(orders):
        for other in orders[number + 1 :]:
            assert sum(a == b for a, b in zip(one, other, strict=True)) < 10


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 8, 32])
def test_batches_are_nearly_equal_and_never_of_one(batch: int) -> None:
    for count in (*range(1, 14), 31, 32, 33, 34, 63, 64, 65, 97):
        pictures = Pictures(numbered(count), PREPROCESS)
        sizes = [len(shown.targets) for shown in pictures.epoch(0, batch=batch, seed=0, augment=OFF)]
        assert sum(sizes) == count
        assert len(sizes) == pictures.steps(batch)
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= min(2, count)
        assert max(sizes) <= max(batch, 3)


def test_as_few_batches_as_hold_all() -> None:
    pictures = Pictures(numbered(100), PREPROCESS)
    assert [pictures.steps(batch) for batch in (10, 32, 50, 99, 100, 1000)] == [10, 4, 2, 2, 1, 1]


def test_a_picture_is_augmented_alike_whatever_the_batch(noise) -> None:
    def by_target(batch: int) -> dict[int, bytes]:
        shown = Pictures(drawn(40, noise), PREPROCESS).epoch(2, batch=batch, seed=5, augment=ON)
        return {int(t): p.tobytes() for pixels, targets, _ in shown for p, t in zip(pixels, targets, strict=True)}

    first = by_target(3)
    assert first == by_target(8) == by_target(40)
    plain = {n: PREPROCESS(s.picture).tobytes() for n, s in enumerate(drawn(40, noise))}
    assert sum(first[n] != plain[n] for n in plain) > 20


def test_how_a_picture_is_moved_says_nothing_of_its_turn() -> None:
    rows = np.repeat(np.arange(8, dtype=np.uint8)[:, None], 8, axis=1)
    pictures = Pictures([Sample(rows, n, f"{n:064x}", None, str(n)) for n in range(600)], PREPROCESS)
    batches = pictures.epoch(1, batch=50, seed=0, augment=Augment(flip=False, shift=0.25))
    moved = np.concatenate([batch.pixels[:, 4, 4, 0] for batch in batches]).astype(float) - 4
    assert set(moved) == {-2, -1, 0, 1, 2}
    assert abs(np.corrcoef(moved, np.arange(600))[0, 1]) < 0.15


def test_in_the_loaders_threads_torch_starts_no_others() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with ThreadPoolExecutor(max_workers=1, initializer=limit_to_one_thread) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_augmentation_leaves_what_is_kept_alone(noise) -> None:
    pictures = Pictures(drawn(10, noise), PREPROCESS)
    pictures.read()
    before = next(pictures.in_order(10)).pixels.copy()
    for batch in pictures.epoch(0, batch=4, seed=0, augment=OFF):
        batch.pixels[:] = 0
    assert np.array_equal(next(pictures.in_order(10)).pixels, before)

"""The decoded cache: the same bytes, whoever fills it, whatever breaks off; bounded, and silent about nothing."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core import bands
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import DecodedCache, Pictures, decoded_pictures
from pennyweight.data.augment.augment import Augment

PREPROCESS = Preprocess(size=24, resize=28)
PLAIN = Augment(flip=False, shift=0.0)
Draw = Callable[..., Path]


def cached(root: Path, cache: DecodedCache, preprocess: Preprocess = PREPROCESS) -> Pictures:
    pictures = Pictures(data.open(root).samples, preprocess, keep_bytes=0, cache=cache)
    pictures.read()
    return pictures


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*.{ending}"))


def test_the_cache_gives_what_decoding_gives(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 5, "b": 6})
    cache = DecodedCache(tmp_path / "cache")
    expected = np.stack([PREPROCESS(sample.picture) for sample in data.open(root).samples])
    for _ in range(2):
        pictures = cached(root, cache)
        assert pictures.kept
        assert np.array_equal(pictures.pixels(np.arange(11)), expected)
    assert len(files(tmp_path / "cache", "pixels")) == 1
    advanced: list[int] = []
    pictures = Pictures(data.open(root).samples, PREPROCESS, keep_bytes=0, cache=cache)
    pictures.read(advanced.append)
    assert sum(advanced) == 11


def test_other_contents_and_other_preprocessing_are_other_entries(draw_folder: Draw, tmp_path: Path) -> None:
    cache = DecodedCache(tmp_path / "cache")
    root = draw_folder({"a": 3, "b": 3})
    cached(root, cache)
    for preprocess in (
        Preprocess(size=24, resize=29),
        Preprocess(size=20, resize=28),
        Preprocess(size=24, resize=28, interpolation="bicubic"),
        Preprocess(size=24, resize=28, decoding="draft"),
    ):
        cached(root, cache, preprocess)
    assert len(files(tmp_path / "cache", "pixels")) == 5
    # Mean and deviation come later; names say nothing.
    cached(root, cache, Preprocess(size=24, resize=28, mean=(0, 0, 0), std=(1, 1, 1)))
    root.rename(root.with_name("renamed"))
    cached(root.with_name("renamed"), cache)
    assert len(files(tmp_path / "cache", "pixels")) == 5
    draw_folder({"a": 1}, name="renamed", first=50)
    cached(root.with_name("renamed"), cache)
    assert len(files(tmp_path / "cache", "pixels")) == 6


def test_it_stays_within_its_bound_and_keeps_what_was_used_last(draw_folder: Draw, tmp_path: Path) -> None:
    row = 24 * 24 * 3
    cache = DecodedCache(tmp_path / "cache", max_bytes=14 * row + 1000)
    roots = [draw_folder({"a": 3, "b": 3}, name=f"set-{n}", first=10 * n) for n in range(3)]
    for number in (0, 1, 0, 2):  # 1 is the one used longest ago
        cached(roots[number], cache)
        time.sleep(0.02)
    assert sum(path.stat().st_size for path in files(tmp_path / "cache", "pixels")) == 12 * row
    before = {path: path.stat().st_mtime_ns for path in files(tmp_path / "cache", "pixels")}
    cached(roots[0], cache)
    assert {path: path.stat().st_mtime_ns for path in files(tmp_path / "cache", "pixels")} == before


def test_two_entries_filled_at_once_stay_within_the_bound(draw_folder: Draw, tmp_path: Path) -> None:
    row = 24 * 24 * 3
    cache = DecodedCache(tmp_path / "cache", max_bytes=10 * row)
    one, two = (data.open(draw_folder({"a": 3, "b": 3}, name=f"set-{n}", first=10 * n)).samples for n in range(2))
    said: list[object] = []

    def fill(_: object) -> dict[int, str]:
        said.append(cache.get(two, PREPROCESS, lambda row: {}))
        return {}

    assert not isinstance(cache.get(one, PREPROCESS, fill), str)
    assert said == [
        f"decoding again in every epoch: 10.4 kB of decoded pictures are more than the 6.9 kB that the cache at "
        f"{tmp_path / 'cache'} may take"
    ]


def test_what_is_too_large_is_decoded_anew_with_a_line(draw_folder: Draw, tmp_path: Path) -> None:
    pictures = cached(draw_folder({"a": 3, "b": 3}), DecodedCache(tmp_path / "cache", max_bytes=1000))
    assert not pictures.kept
    assert pictures.note is not None
    assert pictures.note.startswith(
        "decoding again in every epoch: 10.4 kB of decoded pictures are more than the 1.0 kB"
    )
    assert len(list(pictures.epoch(0, batch=2, seed=0, augment=PLAIN))) == 3


@pytest.mark.parametrize("when", ["reserving", "writing"])
def test_a_full_disk_is_one_line_and_training_goes_on(
    draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate" if when == "reserving" else "pwrite", full)
    pictures = cached(draw_folder({"a": 3, "b": 3}), DecodedCache(tmp_path / "cache"))
    assert pictures.note is not None
    assert pictures.note.endswith("No space left on device")
    assert "\n" not in pictures.note
    assert len(list(pictures.in_order(2))) == 3
    assert not files(tmp_path / "cache", "filling")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_really_full(draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder({"a": 3, "b": 3})
    real = os.pwrite
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr(os, "pwrite", lambda _, content, start: real(full.fileno(), content, start))
        pictures = cached(root, DecodedCache(tmp_path / "cache"))
    assert pictures.note is not None
    assert "No space left" in pictures.note


FILL = """
import sys
from pathlib import Path
from pennyweight import data
from pennyweight.core.preprocess import Preprocess
pictures = data.Pictures(data.open(sys.argv[1]).samples, Preprocess(size=24, resize=28), keep_bytes=0,
                         cache=data.DecodedCache(Path(sys.argv[2])))
def slow(count):
    import time
    time.sleep(0.02)
    print("one", flush=True)
pictures.read(slow)
import hashlib
print(hashlib.sha256(pictures.pixels(__import__("numpy").arange(len(pictures))).tobytes()).hexdigest())
"""


def filler(root: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FILL, str(root), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_that_fill_at_once_give_the_same_bytes(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 30, "b": 30})
    both = [filler(root, tmp_path / "cache") for _ in range(2)]
    outs = [process.communicate(timeout=300)[0].splitlines() for process in both]
    assert all(process.returncode == 0 for process in both)
    assert outs[0][-1] == outs[1][-1]
    assert len(files(tmp_path / "cache", "pixels")) == 1
    expected = np.stack([PREPROCESS(sample.picture) for sample in data.open(root).samples])
    assert np.array_equal(cached(root, DecodedCache(tmp_path / "cache")).pixels(np.arange(60)), expected)


@pytest.mark.slow
def test_a_kill_while_it_is_filled_leaves_it_usable(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 100, "b": 100})
    process = filler(root, tmp_path / "cache")
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(files(tmp_path / "cache", "filling")) == 1
    assert not files(tmp_path / "cache", "json")
    expected = np.stack([PREPROCESS(sample.picture) for sample in data.open(root).samples])
    assert np.array_equal(cached(root, DecodedCache(tmp_path / "cache")).pixels(np.arange(200)), expected)
    assert not files(tmp_path / "cache", "filling")


@pytest.mark.parametrize("damage", ["cut", "changed", "no record", "bad record"])
def test_a_damaged_entry_is_filled_again(draw_folder: Draw, tmp_path: Path, damage: str) -> None:
    root = draw_folder({"a": 3, "b": 3})
    cache = DecodedCache(tmp_path / "cache")
    expected = cached(root, cache).pixels(np.arange(6))
    (rows,), (said,) = files(tmp_path / "cache", "pixels"), files(tmp_path / "cache", "json")
    if damage == "cut":
        rows.write_bytes(rows.read_bytes()[:100])
    elif damage == "changed":
        rows.write_bytes(bytes(byte ^ 1 for byte in rows.read_bytes()))
    elif damage == "no record":
        said.unlink()
    else:
        said.write_text("{")
    assert np.array_equal(cached(root, cache).pixels(np.arange(6)), expected)


@pytest.mark.parametrize(("spare", "kind"), [(0, np.ndarray), (-1, np.memmap)])
def test_a_set_stays_in_memory_as_a_whole_or_not_at_all(
    draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: int, kind: type
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    source = data.open(draw_folder({"a": 12, "b": 12}))
    splits = data.split(source)
    monkeypatch.setattr(
        decoded_pictures,
        "KEEP_BYTES",
        sum(part.bytes for part in data.make_split_pictures(source, splits, PREPROCESS).values()) + spare,
    )
    for part in data.make_split_pictures(source, splits, PREPROCESS).values():
        part.read()
        assert type(part._kept) is kind
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "no folder"))
    for part in data.make_split_pictures(source, splits, PREPROCESS).values():
        part.read()
        assert part.kept  # each of them fits


def test_what_cannot_be_read_is_named_where_it_lies_now(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 3, "b": 3})
    (root / "a" / "torn.png").write_bytes(b"no picture")
    cache = DecodedCache(tmp_path / "cache")
    cached(root, cache)
    root = root.rename(tmp_path / "moved")
    pictures = Pictures(data.open(root).samples, PREPROCESS, keep_bytes=0, cache=cache)
    ((name, reason),) = pictures.read()
    assert name == "a/torn.png"
    assert str(root / "a" / "torn.png") in reason
    assert len(files(tmp_path / "cache", "pixels")) == 1  # it was not filled again


def test_a_reader_that_is_installed_later_reads_what_could_not_be_read(
    draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder({"a": 3, "b": 3})
    cache = DecodedCache(tmp_path / "cache")
    with monkeypatch.context() as without:
        without.setattr(bands, "reader", lambda: "none")
        cached(root, cache)
    cached(root, cache)
    assert len(files(tmp_path / "cache", "pixels")) == 2


def test_a_damaged_row_is_decoded_again(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 5, "b": 6})
    cache = DecodedCache(tmp_path / "cache")
    expected = cached(root, cache).pixels(np.arange(11))
    (rows,) = files(tmp_path / "cache", "pixels")
    times, content = rows.stat(), bytearray(rows.read_bytes())
    for place in (0, 7 * 24 * 24 * 3, len(content) - 1):
        content[place] ^= 1
    rows.write_bytes(content)
    os.utime(rows, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that forgets changes no time
    pictures = cached(root, cache)
    assert pictures.kept
    for _ in range(2):
        assert np.array_equal(pictures.pixels(np.arange(11)), expected)


def test_damage_of_what_an_entry_says_is_filled_again(draw_folder: Draw, tmp_path: Path) -> None:
    root = draw_folder({"a": 5, "b": 6})
    cache = DecodedCache(tmp_path / "cache")
    expected = cached(root, cache).pixels(np.arange(11))
    for ending in ("json", "sums"):
        (path,) = files(tmp_path / "cache", ending)
        for place in range(0, path.stat().st_size, 7):
            content = path.read_bytes()
            path.write_bytes(content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :])
            pictures = cached(root, cache)
            assert np.array_equal(pictures.pixels(np.arange(11)), expected)


def test_files_of_others_in_its_folder_stay(draw_folder: Draw, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "mine.json").write_text("{}")
    (folder / "dead").symlink_to(tmp_path / "gone")
    cached(draw_folder({"a": 3, "b": 3}), DecodedCache(folder, max_bytes=6 * 24 * 24 * 3 + 4000))
    assert (folder / "mine.json").exists()

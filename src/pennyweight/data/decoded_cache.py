"""The decoded cache: pictures as the network sees them, as uint8 rows of one file that is mapped into memory.

An entry's name is a hash of its pictures' contents, what `Preprocess` does to them and the decoders' versions, so an
entry is never stale. NAME.pixels holds the rows, NAME.sums a CRC-32 of each; NAME.json, written last, says that they
are whole, and when they were written: rows that something else has written to are filled again. Whoever fills an entry
holds NAME.lock: another process waits and then finds it, and what a kill leaves is overwritten by the next.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from pennyweight.core import bands
from pennyweight.core.download import cache_folder
from pennyweight.core.files import atomic, digest_of, read_json, write_json
from pennyweight.core.formats import heif_reader
from pennyweight.core.images import MAX_PIXELS, Pixels
from pennyweight.core.locks import locked
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reading import reason_of
from pennyweight.data.source import Sample

__all__ = ["DecodedCache", "Entry"]

FORMAT = 2
MAX_BYTES = 200 << 30
FREE_SHARE = 0.5
NAME = re.compile("[0-9a-f]{32}")
"""Of an entry."""
WHERE = "\0"
"""Stands for a picture's place in what is kept: it may lie elsewhere when the entry is used again."""

Row = Callable[[int, Pixels], None]
Fill = Callable[[Row], dict[int, str]]


@dataclass(frozen=True)
class Entry:
    """What the cache holds of some samples."""

    pixels: Pixels
    """(N, H, W, C), mapped and read-only; the rows of unreadable pictures hold nothing."""
    unreadable: dict[int, str]
    """Number of a sample -> why it cannot be read."""
    sums: NDArray[np.uint32]
    """(N,): CRC-32 of each row, which finds every flipped byte."""
    checked: NDArray[np.bool_]
    """(N,): the rows that were as they were written when they were first taken."""

    def take(self, rows: NDArray[np.int64]) -> tuple[Pixels, list[int]]:
        """Return ((B, H, W, C) the rows asked for, the places among them that hold another picture than was written).

        A row is checked when it is first taken: 0.1 ms for 224 x 224 pixels.
        """
        taken = self.pixels.take(rows, axis=0)
        damaged = []
        for place in np.flatnonzero(~self.checked[rows]).tolist():
            row = int(rows[place])
            if zlib.crc32(np.ascontiguousarray(taken[place]).data) == self.sums[row]:
                self.checked[row] = True
            else:
                damaged.append(place)
        return taken, damaged


class DecodedCache:
    """A folder of entries of at most `max_bytes` together; the ones used longest ago make room for new ones.

    By default that is half of what the disk has free, and at most 200 GiB; $PENNYWEIGHT_CACHE moves the folder.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int | None = None) -> None:
        self.folder = folder or cache_folder("decoded")
        self._max_bytes = max_bytes

    def get(self, samples: Sequence[Sample], preprocess: Preprocess, fill: Fill) -> Entry | str:
        """The entry of the samples, filled by `fill` if it is not there yet; or a line that says why it cannot be.

        `fill(row)` calls `row(number, pixels)` for each picture, from any thread, and returns those it could not read.
        """
        name = _name(samples, preprocess)
        shape = (len(samples), *preprocess.shape)
        size = int(np.prod(shape, dtype=np.int64))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = self._find(name, samples, shape)
            if found is not None:
                return found
            with locked(self.folder / f"{name}.lock"):
                found = self._find(name, samples, shape)  # another process may have filled it while this one waited
                if found is not None:
                    return found
                filling = self.folder / f"{name}.filling"
                with locked(self.folder / "room.lock"):  # who takes room has it before another one looks for some
                    filling.unlink(missing_ok=True)
                    room = self._make_room(size)
                    if size > room:
                        return (
                            f"decoding anew every epoch: {_amount(size)} of decoded pictures are more than the "
                            f"{_amount(room)} that the cache at {self.folder} may take"
                        )
                    _reserve(filling, size)
                self._fill(name, samples, preprocess.shape, fill)
                return (
                    self._find(name, samples, shape)
                    or f"decoding anew every epoch: the cache at {self.folder} was emptied"
                )
        except OSError as error:
            return (
                f"decoding anew every epoch: cannot keep {_amount(size)} of decoded pictures at {self.folder}: "
                f"{reason_of(error)}"
            )

    def _find(self, name: str, samples: Sequence[Sample], shape: tuple[int, ...]) -> Entry | None:
        rows, said = self.folder / f"{name}.pixels", self.folder / f"{name}.json"
        try:
            record = read_json(said)
            sums = (self.folder / f"{name}.sums").read_bytes()
            if record.pop("sha256") != digest_of(record) or hashlib.sha256(sums).hexdigest() != record["sums"]:
                return None
            unreadable = {int(n): why.replace(WHERE, samples[int(n)].where) for n, why in record["unreadable"].items()}
            if rows.stat().st_mtime_ns != record["written_ns"]:
                return None
            os.utime(said)  # when it was used last
            pixels = np.memmap(rows, np.uint8, "r", shape=shape)
        except Exception:  # whatever is wrong with it, it is filled again
            return None
        return Entry(pixels, unreadable, np.frombuffer(sums, np.uint32), np.zeros(shape[0], np.bool_))

    def _fill(self, name: str, samples: Sequence[Sample], shape: tuple[int, int, int], fill: Fill) -> None:
        filling = self.folder / f"{name}.filling"
        row_bytes = int(np.prod(shape))
        sums = np.zeros(len(samples), np.uint32)
        try:
            with filling.open("r+b") as file:

                def row(number: int, pixels: Pixels) -> None:
                    content, start = memoryview(pixels.tobytes()), number * row_bytes
                    sums[number] = zlib.crc32(content)
                    while content:  # a nearly full disk takes a part
                        written = os.pwrite(file.fileno(), content, start)
                        content, start = content[written:], start + written

                unreadable = fill(row)
                os.fsync(file.fileno())
            filling.replace(self.folder / f"{name}.pixels")
            reasons = {str(n): why.replace(samples[n].where, WHERE) for n, why in unreadable.items()}
            written_ns = (self.folder / f"{name}.pixels").stat().st_mtime_ns
            with atomic(self.folder / f"{name}.sums") as temporary:
                temporary.write_bytes(sums.tobytes())
            digest = hashlib.sha256(sums.tobytes()).hexdigest()
            record = {"unreadable": reasons, "written_ns": written_ns, "sums": digest}
            write_json(self.folder / f"{name}.json", record | {"sha256": digest_of(record)})
        except BaseException:
            with suppress(FileNotFoundError):
                filling.unlink()
            raise

    def _make_room(self, size: int) -> int:
        """Remove what killed processes left, then the entries used longest ago, until `size` bytes fit; returns how
        many bytes an entry may take."""
        for left in self.folder.glob("*.filling"):
            with locked(left.with_suffix(".lock"), wait=False) as mine:
                if mine:
                    left.unlink(missing_ok=True)
        ours = [path for path in self.folder.glob("*.json") if NAME.fullmatch(path.stem) and path.is_file()]
        entries = sorted(ours, key=lambda path: path.stat().st_mtime)
        used = sum(path.lstat().st_size for path in self.folder.iterdir())
        free = shutil.disk_usage(self.folder).free
        most = min(MAX_BYTES, int((free + used) * FREE_SHARE)) if self._max_bytes is None else self._max_bytes
        if size > most:
            return most
        for said in entries:
            if used + size <= most:
                break
            used -= _remove(said)
        return most - used


def _name(samples: Sequence[Sample], preprocess: Preprocess) -> str:
    # Decoders and the limit say which pictures cannot be read.
    readers = f"{PIL.__version__} {bands.reader()} {heif_reader()}"
    most = preprocess.max_pixels or MAX_PIXELS
    key = hashlib.sha256(f"{FORMAT} {readers} {most} {preprocess.pixels_key}\n".encode())
    for sample in samples:
        key.update(f"{sample.digest}\n".encode())
    return key.hexdigest()[:32]


def _reserve(path: Path, size: int) -> None:
    """Take the room now: a disk that is full shows here, in a line, and not in the midst of the work."""
    try:
        with path.open("wb") as file:
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
            file.truncate(size)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _amount(size: int) -> str:
    unit, name = next((row for row in ((1e9, "GB"), (1e6, "MB")) if size >= row[0]), (1e3, "kB"))
    return f"{size / unit:.1f} {name}"


def _remove(said: Path) -> int:
    """Remove an entry, what says that it is whole first; returns its bytes. Whoever has it mapped keeps it."""
    rows = said.with_suffix(".pixels")
    size = rows.stat().st_size if rows.exists() else 0
    for path in (said, rows, said.with_suffix(".sums")):  # the lock stays: another process may wait for it
        path.unlink(missing_ok=True)
    return size

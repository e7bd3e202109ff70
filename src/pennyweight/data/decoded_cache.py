"""Decoded cache: pictures as the network sees them, as uint8 rows of a memory-mapped file.

An entry's name is a hash of its pictures' contents, the preprocessing and the decoders' versions, so an entry is never
stale. NAME.pixels holds the rows and NAME.sums a CRC-32 of each row. NAME.json, written last, marks the entry as
complete and keeps the time of writing; rows that were modified later are decoded again. The process that fills an entry
holds NAME.lock: other processes wait for it, and the next process overwrites what a killed one left.
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
from pennyweight.core.cache import cache_folder, make_cache_folder
from pennyweight.core.files import atomic, digest_of, read_json, write_json
from pennyweight.core.formats import heif_reader
from pennyweight.core.images import MAX_PIXELS, Pixels
from pennyweight.core.locks import locked
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reading import reason_of
from pennyweight.data.source import Sample

__all__ = ["DecodedCache", "Entry", "decoders"]

FORMAT = 2
MAX_BYTES = 200 << 30
FREE_SHARE = 0.5
NAME = re.compile("[0-9a-f]{32}")
"""Pattern of an entry's name."""
WHERE = "\0"
"""Placeholder for a picture's path in the stored reasons, because the file may move before the entry is used again."""

Row = Callable[[int, Pixels], None]
Fill = Callable[[Row], dict[int, str]]


@dataclass(frozen=True)
class Entry:
    """Decoded pictures of some samples in the cache."""

    pixels: Pixels
    """(N, H, W, C), memory-mapped and read-only; rows of unreadable pictures are undefined."""
    unreadable: dict[int, str]
    """Number of a sample -> reason for which it cannot be read."""
    sums: NDArray[np.uint32]
    """(N,): CRC-32 of each row, which detects any flipped byte."""
    checked: NDArray[np.bool_]
    """(N,): rows whose CRC-32 has been verified."""

    def take(self, rows: NDArray[np.int64]) -> tuple[Pixels, list[int]]:
        """Return the rows (B,) -> (B, H, W, C), and the places in the batch of rows that fail their checksum.

        A row is verified the first time that it is taken, in 0.1 ms for 224×224 pixels.
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
    """Folder of entries with at most `max_bytes` together; the least recently used entries make room for new ones.

    The default limit is half of the free space of the disk, and 200 GiB at most; $PENNYWEIGHT_CACHE moves the folder.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int | None = None) -> None:
        self.folder = folder or cache_folder("decoded")
        self._max_bytes = max_bytes

    def get(self, samples: Sequence[Sample], preprocess: Preprocess, fill: Fill) -> Entry | str:
        """Return the entry of the samples, filled first if it is missing; or a line with the reason if that fails.

        Args:
            samples: The samples.
            preprocess: Decoding and resizing, which together with the samples names the entry.
            fill: `fill(row)` calls `row(number, pixels)` for each picture, from any thread, and returns number ->
                reason of the unreadable ones.
        """
        name = _name(samples, preprocess)
        shape = (len(samples), *preprocess.shape)
        size = int(np.prod(shape, dtype=np.int64))
        try:
            make_cache_folder(self.folder)
            found = self._find(name, samples, shape)
            if found is not None:
                return found
            with locked(self.folder / f"{name}.lock"):
                found = self._find(name, samples, shape)  # another process may have filled it while this one waited
                if found is not None:
                    return found
                filling = self.folder / f"{name}.filling"
                with locked(self.folder / "room.lock"):  # no other process may take the same free space
                    filling.unlink(missing_ok=True)
                    room = self._make_room(size)
                    if size > room:
                        return (
                            f"decoding again in every epoch: {_amount(size)} of decoded pictures are more than the "
                            f"{_amount(room)} that the cache at {self.folder} may take"
                        )
                    _reserve(filling, size)
                self._fill(name, samples, preprocess.shape, fill)
                return (
                    self._find(name, samples, shape)
                    or f"decoding again in every epoch: the cache at {self.folder} was emptied"
                )
        except OSError as error:
            return (
                f"decoding again in every epoch: cannot keep {_amount(size)} of decoded pictures at {self.folder}: "
                f"{reason_of(error)}"
            )

    def _find(self, name: str, samples: Sequence[Sample], shape: tuple[int, ...]) -> Entry | None:
        rows, marker = self.folder / f"{name}.pixels", self.folder / f"{name}.json"
        try:
            record = read_json(marker)
            sums = (self.folder / f"{name}.sums").read_bytes()
            if record.pop("sha256") != digest_of(record) or hashlib.sha256(sums).hexdigest() != record["sums"]:
                return None
            unreadable = {int(n): why.replace(WHERE, samples[int(n)].where) for n, why in record["unreadable"].items()}
            if rows.stat().st_mtime_ns != record["written_ns"]:
                return None
            os.utime(marker)  # its time is that of the latest use
            pixels = np.memmap(rows, np.uint8, "r", shape=shape)
        except Exception:  # any damage: fill the entry again
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
                    while content:  # a nearly full disk may write a part only
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
        """Remove leftovers of killed processes, then least recently used entries, until `size` bytes fit.

        Return the number of bytes that an entry may take.
        """
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
        for marker in entries:
            if used + size <= most:
                break
            used -= _remove(marker)
        return most - used


def decoders() -> str:
    """Return the versions of the decoders, which decide pixels and which pictures are unreadable."""
    return f"{PIL.__version__} {bands.reader()} {heif_reader()}"


def _name(samples: Sequence[Sample], preprocess: Preprocess) -> str:
    # The pixel limit decides, too, which pictures are unreadable.
    most = preprocess.max_pixels or MAX_PIXELS
    key = hashlib.sha256(f"{FORMAT} {decoders()} {most} {preprocess.pixels_key}\n".encode())
    for sample in samples:
        key.update(f"{sample.digest}\n".encode())
    return key.hexdigest()[:32]


def _reserve(path: Path, size: int) -> None:
    """Allocate the file's space at once, so that a full disk is reported before any picture is decoded."""
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


def _remove(marker: Path) -> int:
    """Remove an entry, its marker first, and return its bytes; a process that has it mapped can still read it."""
    rows = marker.with_suffix(".pixels")
    size = rows.stat().st_size if rows.exists() else 0
    for path in (marker, rows, marker.with_suffix(".sums")):  # the lock stays: another process may wait for it
        path.unlink(missing_ok=True)
    return size

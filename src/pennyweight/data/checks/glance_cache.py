"""Cache of the facts of pictures: one file a source and reading settings, rows by the digests of the pictures.

Rows are found by content, so a file is never stale: of a source that changed, new and changed pictures alone are looked
at. A file holds arrays and lines of JSON, nothing that could run; a damaged one is written again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.cache import cache_folder, make_cache_folder
from pennyweight.core.files import atomic
from pennyweight.core.images import Header
from pennyweight.core.locks import locked
from pennyweight.core.reading import reason_of
from pennyweight.core.scratch import scratch
from pennyweight.data.checks.looks import LEAST, LOOKS
from pennyweight.data.checks.saved import Saved
from pennyweight.data.decoded_cache import decoders

__all__ = ["GlanceCache", "Kept"]

FORMAT = 3
MAX_BYTES = 4 << 30
FREE_SHARE = 0.1
DIGEST_BYTES = 32
SUFFIX = ".npz"
CHUNK = 1024


class Kept(NamedTuple):
    """Facts of M different pictures."""

    digests: Sequence[str]
    looks: NDArray[np.void]
    """(M,) LOOKS."""
    saved: Sequence[Saved]

    @classmethod
    def empty(cls) -> Kept:
        """Return the facts of no picture."""
        return cls((), np.empty(0, LOOKS), ())


class GlanceCache:
    """Folder of the facts of sources; the least recently used files make room for new ones.

    It takes a tenth of the free space of the disk, and 4 GiB at most; $PENNYWEIGHT_CACHE moves the folder.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int | None = None) -> None:
        self.folder = folder or cache_folder("glances")
        self._max_bytes = max_bytes

    def load(self, address: str, settings: object) -> Kept:
        """Return the facts that are kept of a source; none if they are missing or damaged.

        Args:
            address: Address of the source.
            settings: Reading settings that change the facts.
        """
        path = self._path(address, settings)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                digests, lines = file["digests"], io.BytesIO(file["saved"].tobytes())
            looks = _read_looks(path, len(digests))
            once: dict[Any, Any] = {}
            rows = [Saved(Header(*row[0]), *row[1:]).sharing(once) for row in map(json.loads, lines)]
            if looks.dtype != LOOKS or digests.shape != (len(looks), DIGEST_BYTES) or len(rows) != len(looks):
                return Kept.empty()
            os.utime(path)  # its time is that of the latest use
            return Kept([digest.tobytes().hex() for digest in digests], looks, rows)
        except Exception:  # any damage: look again
            return Kept.empty()

    def save(self, address: str, settings: object, kept: Kept) -> str | None:
        """Keep the facts of a source in place of its earlier ones; return a line with the reason if that fails."""
        digests = np.frombuffer(bytes.fromhex("".join(kept.digests)), np.uint8).reshape(-1, DIGEST_BYTES)
        text = bytearray()
        for one in kept.saved:
            text += json.dumps([list(one.header), *one[1:]]).encode() + b"\n"
        size = kept.looks.nbytes + digests.nbytes + len(text)
        failed = f"pictures are looked at again the next time: cannot keep {size / 1e6:.1f} MB at {self.folder}"
        try:
            make_cache_folder(self.folder)
            path = self._path(address, settings)
            with locked(self.folder / "room.lock"):  # no other process may take the same free space
                if size > (room := self._make_room(size, path)):
                    return f"{failed}, which may take {room / 1e6:.1f} MB"
                with atomic(path) as temporary:
                    arrays: dict[str, Any] = {"looks": kept.looks, "digests": digests}
                    np.savez(temporary, allow_pickle=False, **arrays, saved=np.frombuffer(text, np.uint8))
        except OSError as error:
            return f"{failed}: {reason_of(error)}"
        return None

    def _path(self, address: str, settings: object) -> Path:
        key = f"{FORMAT} {LOOKS.descr} {LEAST} {decoders()} {settings} {address}"
        return self.folder / (hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32] + SUFFIX)

    def _make_room(self, size: int, replaced: Path) -> int:
        """Remove the least recently used files until `size` bytes fit; return the bytes that a file may take."""
        files = [file for file in self.folder.glob("*" + SUFFIX) if file != replaced]
        bytes_of = {file: file.stat().st_size for file in sorted(files, key=lambda file: file.stat().st_mtime)}
        used = sum(bytes_of.values())
        free = shutil.disk_usage(self.folder).free
        most = min(MAX_BYTES, int((free + used) * FREE_SHARE)) if self._max_bytes is None else self._max_bytes
        if size <= most:
            for file, its in bytes_of.items():
                if used + size <= most:
                    break
                with suppress(OSError):
                    file.unlink()
                used -= its
        return most - used if size <= most else most


def _read_looks(path: Path, count: int) -> NDArray[np.void]:
    """Return the looks of a file, (count,); they are not in memory as a whole. Raises an error for damage."""
    looks: NDArray[np.void] = scratch(count, LOOKS)
    with zipfile.ZipFile(path) as file, file.open("looks.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        if shape != looks.shape or kind != LOOKS:
            raise ValueError(f"{shape} looks of {kind}")
        for start in range(0, count, CHUNK):
            part = looks[start : start + CHUNK]
            part[:] = np.frombuffer(stream.read(part.nbytes), LOOKS)
    return looks

"""Read untrusted tars member by member, with headers of bounded size and constant memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from pennyweight.core.reading import read_most

__all__ = ["HOLES", "entries", "is_compressed", "open_stream", "open_tar"]

HOLES = tarfile.GNUTYPE_SPARSE
"""Type that `entries` gives to every sparse member; the header alone declares its size."""
MAX_HEADER = 1 << 20
"""Largest header in bytes: a long name or a pax header. tarfile reads it whole, and zeros in it compress well."""
HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
PACKERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0\x80": lzma.LZMAFile,
}
"""First bytes of a compressed tar -> decompressor."""

ZSTANDARD = b"\x28\xb5\x2f\xfd"


def open_tar(file: IO[bytes]) -> tarfile.TarFile:
    """Open the tar in a seekable file, compressed or not."""
    start = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in PACKERS.items() if start.startswith(magic)), None)
    plain: Any = _Watched(file if unpack is None else unpack(file))
    return tarfile.open(fileobj=plain, mode="r:", tarinfo=_Entry)


def open_stream(file: Any) -> tarfile.TarFile:
    """Open the tar in a file that need not seek, compressed or not. Raises ValueError for Zstandard."""
    start = read_most(file, len(ZSTANDARD) + 2)
    whole: Any = io.BufferedReader(_Joined(start, file))
    if start.startswith(ZSTANDARD):
        raise ValueError("it is compressed with Zstandard, which is not read here; decompress it: unzstd FILE")
    unpack = next((unpack for magic, unpack in PACKERS.items() if start.startswith(magic)), None)
    tar = tarfile.open(fileobj=unpack(whole) if unpack else whole, mode="r|", tarinfo=_Entry)  # noqa: SIM115
    cast(Any, tar).compressed = unpack is not None
    return tar


def is_compressed(tar: tarfile.TarFile) -> bool:
    """Return whether a tar that `open_stream` opened is compressed, so that its members have no place in the file."""
    return bool(cast(Any, tar).compressed)


def entries(tar: tarfile.TarFile, most: int | None = None) -> Iterator[tarfile.TarInfo]:
    """Yield the members in stored order. Raises ValueError once they take more than `most` bytes of the tar."""
    inside = cast(Any, tar)  # the stubs lack its list of members and its offset
    watched = inside.fileobj if isinstance(inside.fileobj, _Watched) else None
    while (entry := tar.next()) is not None:
        if entry.issparse():
            entry.type = HOLES
        if watched:
            watched.left = None
        yield entry
        inside.members.clear()  # a million members would take a gigabyte
        if watched:
            watched.left = MAX_HEADER
        if most is not None and inside.offset > most:  # before its content is skipped
            raise ValueError(f"it unpacks to more than {most:,} bytes; it looks like a decompression bomb")


class _Entry(tarfile.TarInfo):
    """Member whose header is checked before the rest is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Entry:
        """Parse the header block of 512 bytes. Raises ValueError for a long name or pax header over MAX_HEADER."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in HEADERS and entry.size > MAX_HEADER:
            raise ValueError(f"it has a header of {entry.size:,} bytes; a name has {MAX_HEADER:,} at most")
        return entry


class _Joined(io.RawIOBase):
    """File that cannot seek, with the first bytes that were read from it put back."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._start[: len(buffer)] or self._rest.read(len(buffer))
        self._start = self._start[len(read) :]
        buffer[: len(read)] = read
        return len(read)


class _Watched:
    """Uncompressed tar of which `left` more bytes may be read: headers and sparse maps can be endless."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.left: int | None = MAX_HEADER
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int) -> bytes:
        if self.left is not None:
            self.left -= size
            if self.left < 0:
                raise ValueError(f"it has a member with headers of more than {MAX_HEADER:,} bytes")
        read: bytes = self.file.read(size)
        return read

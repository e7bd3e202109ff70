"""Tars of strangers, member after member: headers of a bounded size, and nothing is kept of what went by."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

__all__ = ["HOLES", "entries", "streamed", "unpacked"]

HOLES = tarfile.GNUTYPE_SPARSE
"""The type that `entries` gives to every member with holes: its size is whatever its header says."""
MAX_HEADER = 1 << 20
"""Bytes of a name, or of what pax says of a member. They are read at once, whatever their size, and shrink well."""
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
"""How a packed tar begins -> what unpacks it."""


def unpacked(file: IO[bytes]) -> tarfile.TarFile:
    """Return the tar in an open file, packed or not."""
    start = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in PACKERS.items() if start.startswith(magic)), None)
    plain: Any = _Watched(file if unpack is None else unpack(file))
    return tarfile.open(fileobj=plain, mode="r:", tarinfo=_Entry)


def streamed(file: Any) -> tarfile.TarFile:
    """Return the unpacked tar in a file that need not seek."""
    return tarfile.open(fileobj=file, mode="r|", tarinfo=_Entry)


def entries(tar: tarfile.TarFile, most: int | None = None) -> Iterator[tarfile.TarInfo]:
    """Yield the members in their order. Raises ValueError where they take more than `most` bytes of the tar."""
    inside = cast(Any, tar)  # whose list of members and place the stubs do not know
    watched = inside.fileobj if isinstance(inside.fileobj, _Watched) else None
    while (entry := tar.next()) is not None:
        if entry.issparse():
            entry.type = HOLES
        if watched:
            watched.left = None
        yield entry
        inside.members.clear()  # a million of them would take a gigabyte
        if watched:
            watched.left = MAX_HEADER
        if most is not None and inside.offset > most:  # before it is passed over
            raise ValueError(f"it unpacks to more than {most:,} bytes; it is taken for a bomb")


class _Entry(tarfile.TarInfo):
    """A member whose header is looked at before what follows is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Entry:
        """Return the member of 512 bytes. Raises ValueError for a header that is larger than any name."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in HEADERS and entry.size > MAX_HEADER:
            raise ValueError(f"it has a header of {entry.size:,} bytes; a name has {MAX_HEADER:,} at most")
        return entry


class _Watched:
    """An unpacked tar, of which `left` bytes may be read: a chain of headers, or a list of holes, has no end."""

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

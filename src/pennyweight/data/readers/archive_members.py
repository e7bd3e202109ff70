"""Members of zips and tars: names, kinds and contents, one after the other, without unpacking the archive."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pennyweight.core.errors import SourceError
from pennyweight.core.reading import MAX_RATIO, SPARE_BYTES, reading
from pennyweight.core.text import printable
from pennyweight.data.readers import tar_stream

__all__ = ["Member", "members", "notes_on_names", "shown", "size_limit", "walk_members"]

MAX_BYTES = 200 << 30
MAX_MEMBERS = 5_000_000
UTF8, STANDARD = "utf-8", "cp437"
UTF8_FLAG = 0x800
ZIP_MAGICS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")


@dataclass(frozen=True)
class Member:
    """Member of an archive, as the archive declares it."""

    name: str
    kind: str
    """"file", "folder", or words for another kind, such as "a link"."""
    content: IO[bytes] | None
    """Open file with the member's bytes; None for all kinds but "file"."""


def members(archive: Path) -> Iterator[Member]:
    """Yield the members of an archive one by one, without unpacking. Raises SourceError for a damaged archive.

    Reading a member's `content` can raise nearly any error.
    """
    with reading(archive):
        yield from walk_members(archive)


def size_limit(archive: Path) -> int:
    """Return the largest number of bytes that an archive may unpack to."""
    return min(MAX_BYTES, max(SPARE_BYTES, archive.stat().st_size * MAX_RATIO))


def walk_members(archive: Path) -> Iterator[Member]:
    """Yield the members in stored order; the `content` of a file stays open until the next member is requested.

    Raises ValueError for a tar that is much larger than `size_limit`, counting members that are not unpacked too, and
    SourceError for more than MAX_MEMBERS members. A damaged archive can raise nearly any error.
    """
    for count, member in enumerate(_stored_members(archive), 1):
        if count > MAX_MEMBERS:
            raise SourceError(f"{archive} has more than {MAX_MEMBERS:,} members; it looks like a decompression bomb")
        yield member


def _stored_members(archive: Path) -> Iterator[Member]:
    if _is_zip(archive):
        with zipfile.ZipFile(archive) as packed:
            encoding = _encoding(packed)
            for info in packed.infolist():
                name = _zip_name(info, encoding)
                kind = _zip_kind(info, name)
                if kind == "file":
                    with packed.open(info) as content:
                        yield Member(name, kind, content)
                else:
                    yield Member(name, kind, None)
    else:
        with archive.open("rb") as file, tar_stream.open_tar(file) as tar:
            for entry in tar_stream.entries(tar, size_limit(archive) + SPARE_BYTES):
                kind = _tar_kind(entry)
                yield Member(entry.name, kind, tar.extractfile(entry) if kind == "file" else None)


def notes_on_names(archive: Path) -> tuple[str, ...]:
    """Return a note on the encoding that is assumed for names of a zip that do not declare theirs.

    Args:
        archive: A zip, or an archive of another format.

    Returns:
        One line; empty for other formats, and if every name declares its encoding.
    """
    if not _is_zip(archive):
        return ()
    with zipfile.ZipFile(archive) as packed:
        unsaid = [info for info in packed.infolist() if _says_no_encoding(info)]
        if not unsaid:
            return ()
        encoding = _encoding(packed)
        named = {UTF8: "UTF-8", STANDARD: "cp437, the standard of zip"}[encoding]
        example = shown(_zip_name(unsaid[0], encoding))
    return (f"{len(unsaid):,} names do not say their encoding; they are read as {named}, such as {example}",)


def _is_zip(archive: Path) -> bool:
    with archive.open("rb") as file:
        return file.read(4) in ZIP_MAGICS  # zipfile.is_zipfile also accepts a tar that ends in a zip


def _says_no_encoding(info: zipfile.ZipInfo) -> bool:
    return not info.flag_bits & UTF8_FLAG and not info.orig_filename.isascii()


def _encoding(packed: zipfile.ZipFile) -> str:
    """Return the encoding of names that do not declare theirs: UTF-8 if all decode (macOS, Linux), else cp437."""
    try:
        for info in packed.infolist():
            if _says_no_encoding(info):
                info.orig_filename.encode(STANDARD).decode(UTF8)
    except UnicodeError:
        return STANDARD
    return UTF8


def _zip_name(info: zipfile.ZipInfo, encoding: str) -> str:
    """Return a member's name; a backslash, which Windows writes, separates folders."""
    name = info.orig_filename.encode(STANDARD).decode(encoding) if _says_no_encoding(info) else info.orig_filename
    return name.replace("\\", "/")


def _zip_kind(info: zipfile.ZipInfo, name: str) -> str:
    if info.flag_bits & 1:
        return "a password-protected file"
    # Zips made on Unix keep the file type in the upper half.
    kind = info.external_attr >> 28
    special = {0o12: "a link", 0o2: "a device", 0o6: "a device", 0o1: "a pipe", 0o14: "a socket"}
    return special.get(kind) or ("folder" if name.endswith("/") else "file")


def _tar_kind(entry: tarfile.TarInfo) -> str:
    if entry.type == tar_stream.HOLES:
        return "a sparse file"
    if entry.isreg():
        return "file"
    if entry.isdir():
        return "folder"
    if entry.issym() or entry.islnk():
        return "a link"
    return "a pipe" if entry.isfifo() else "a device"


def shown(name: str) -> str:
    """Return a member's name as one line of printable characters, 120 at most."""
    shown = printable(name)
    return shown if len(shown) <= 120 else shown[:117] + "…"

"""Archives of pictures, unpacked where they can do no harm: only plain files and folders, only under one new folder.

Members with `..`, absolute or drive paths, links, devices and names that clash where case does not count are refused
and named. What an archive says of its own sizes is not believed: bytes are counted as they are written.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pennyweight.core.download import cache_folder
from pennyweight.core.errors import SourceError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.text import printable

__all__ = ["MAX_RATIO", "SPARE_BYTES", "SUFFIXES", "Unpacked", "unpack", "unpacked"]

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_BYTES = 200 << 30
MAX_RATIO = 200
"""Unpacked bytes for each byte of the archive. Pictures hardly shrink; bombs shrink a thousandfold."""
SPARE_BYTES = 64 << 20
"""What any archive may unpack to, whatever its ratio."""
MAX_MEMBERS = 5_000_000
MAX_NAME = 1000
CHUNK_BYTES = 1 << 20
DONE = "unpacked.json"
ZIP_MAGICS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Unpacked:
    """The folder with an archive's files, and the members that were refused, each with the reason."""

    folder: Path
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """What an archive says of one of its members."""

    name: str
    kind: str
    """"file", "folder", or what it is instead."""
    content: IO[bytes] | None


def unpacked(archive: Path) -> Unpacked:
    """The archive's files in the cache, unpacked once for each content. Raises SourceError, also for a full disk."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    home = cache_folder("archives") / digest[:32]
    try:
        _unpack_once(archive, home)
    except OSError as error:
        raise SourceError(
            f"cannot unpack {archive} into {home.parent}: {error.strerror or error}; make room there, or name another "
            "folder by $PENNYWEIGHT_CACHE"
        ) from error
    return Unpacked(home / "files", tuple(read_json(home / DONE)["refused"]))


def _unpack_once(archive: Path, home: Path) -> None:
    if not (home / DONE).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, then renamed: whoever comes at the same time finds all of it, or nothing.
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unpacking-") as temporary:
            made = Path(temporary, "made")
            refused = unpack(archive, made / "files")
            write_json(made / DONE, {"archive": archive.name, "refused": list(refused)})
            try:
                made.rename(home)
            except OSError:
                if not (home / DONE).exists():
                    raise


def unpack(archive: Path, target: Path) -> tuple[str, ...]:
    """Write the plain files of `archive` under the new folder `target`; returns what was refused, with reasons.

    Raises SourceError for what is no archive, is damaged, or unpacks to more than its size lets expect; then nothing
    is left of it.
    """
    target.mkdir(parents=True)
    size = archive.stat().st_size
    budget = min(MAX_BYTES, max(SPARE_BYTES, size * MAX_RATIO))
    refused: list[str] = []
    taken: dict[str, str] = {}
    folders: dict[str, str] = {}
    try:
        for count, member in enumerate(_members(archive), 1):
            if count > MAX_MEMBERS:
                raise SourceError(f"{archive} has more than {MAX_MEMBERS:,} members; it is taken for a bomb")
            if _litter(member.name):
                continue
            reason = _refusal(member, taken, folders)
            if reason:
                refused.append(f"{_shown(member.name)}: {reason}")
            elif member.content is not None:
                budget -= _write(member, target, budget, archive)
    except BROKEN as error:
        shutil.rmtree(target)
        raise SourceError(
            f"cannot unpack {archive}: {str(error).splitlines()[0].rstrip(': ') if str(error) else 'damaged'}"
        ) from error
    except BaseException:
        shutil.rmtree(target)
        raise
    return tuple(refused)


def _members(archive: Path) -> Iterator[Member]:
    """The members in their order; `content` of the files is open until the next is asked for."""
    with archive.open("rb") as file:
        packed_as_zip = file.read(4) in ZIP_MAGICS  # not zipfile's test, which is glad of a zip at the end of a tar
    if packed_as_zip:
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = _zip_kind(info)
                if kind == "file":
                    with packed.open(info) as content:
                        yield Member(info.orig_filename, kind, content)
                else:
                    yield Member(info.orig_filename, kind, None)
    else:
        with tarfile.open(archive, "r:*") as tape:
            for entry in tape:
                yield Member(entry.name, _tar_kind(entry), tape.extractfile(entry) if entry.isreg() else None)


def _litter(name: str) -> bool:
    """Whether it is what macOS puts beside files of its own accord."""
    return name.split("/")[0] == "__MACOSX" or name.rpartition("/")[2] == ".DS_Store"


def _zip_kind(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 1:
        return "an encrypted file"
    # Zips made on Unix keep the file type in the upper half.
    kind = info.external_attr >> 28
    special = {0o12: "a link", 0o2: "a device", 0o6: "a device", 0o1: "a pipe", 0o14: "a socket"}
    return special.get(kind) or ("folder" if info.is_dir() else "file")


def _tar_kind(entry: tarfile.TarInfo) -> str:
    if entry.isreg():
        return "file"
    if entry.isdir():
        return "folder"
    if entry.issym() or entry.islnk():
        return "a link"
    return "a pipe" if entry.isfifo() else "a device"


def _refusal(member: Member, taken: dict[str, str], folders: dict[str, str]) -> str | None:
    """Why a member is not unpacked, None for one that may be. Remembers the names in `taken` and `folders`."""
    name = member.name
    if member.kind not in ("file", "folder"):
        return f"{member.kind} is not unpacked"
    parts = name.rstrip("/").split("/")
    parts = parts[1:] if parts[0] == "." else parts
    if not parts or not "".join(parts):
        return None if member.kind == "folder" else "it has no name"
    if name.startswith("/"):
        return "an absolute path"
    if "\\" in name or ":" in parts[0] or any(ord(letter) < 32 for letter in name):
        return "a name that some systems read otherwise"
    if any(part in ("..", ".", "") for part in parts):
        return "a path that leads out of its folder" if ".." in parts else "a path with empty parts"
    if len(name) > MAX_NAME or any(len(os.fsencode(part)) > 255 for part in parts):
        return "a name that is too long"
    path, low = "/".join(parts), "/".join(parts).lower()
    for end in range(1, len(parts)):
        above = "/".join(parts[:end])
        if above.lower() in taken or folders.setdefault(above.lower(), above) != above:
            return f"it clashes with {_shown(taken.get(above.lower()) or folders[above.lower()])}"
    if member.kind == "folder":
        clash = taken.get(low) or (folders.setdefault(low, path) if folders.get(low, path) != path else None)
        folders.setdefault(low, path)
    else:
        clash = taken.get(low) or folders.get(low)
        taken.setdefault(low, path)
    return f"it clashes with {_shown(clash)}" if clash else None


def _write(member: Member, target: Path, budget: int, archive: Path) -> int:
    """Write one file; returns its bytes. Raises SourceError when they are more than `budget`."""
    assert member.content is not None
    parts = [part for part in member.name.split("/") if part != "."]
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as file:
        while chunk := member.content.read(CHUNK_BYTES):
            written += len(chunk)
            if written > budget:
                raise SourceError(
                    f"{archive} unpacks to more than {MAX_RATIO} times its size at {_shown(member.name)}; "
                    "it is taken for a bomb"
                )
            file.write(chunk)
    return written


def _shown(name: str) -> str:
    """A member's name as one line that leaves a terminal as it is."""
    shown = printable(name)
    return shown if len(shown) <= 120 else shown[:117] + "…"

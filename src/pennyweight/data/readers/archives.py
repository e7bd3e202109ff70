"""Unpack archives of pictures safely: plain files and folders only, all under one new folder.

`unpack` refuses members with `..`, absolute or drive paths, links, devices, and names that differ from another one by
case only; it counts the refused members by reason. Sizes that an archive declares are not trusted: `unpack` counts
bytes as it writes them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pennyweight.core.download import cache_folder
from pennyweight.core.errors import SourceError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.reading import MAX_RATIO, SPARE_BYTES, reading, reason_of
from pennyweight.core.text import printable
from pennyweight.data.readers import tar_stream

__all__ = ["SUFFIXES", "Member", "Unpacked", "members", "unpack", "unpacked"]

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_BYTES = 200 << 30
MAX_MEMBERS = 5_000_000
MAX_NAME = 1000
CHUNK_BYTES = 1 << 20
DONE = "unpacked.json"
FORMAT = 3
"""Version of the cache entry; an archive that was unpacked by another version is unpacked again."""
LITTER = "__MACOSX"
"""Folder in which macOS packs metadata of the files."""
CLASH = "a name that clashes with another one, whatever their case"
UTF8, STANDARD = "utf-8", "cp437"
UTF8_FLAG = 0x800
ZIP_MAGICS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")


@dataclass(frozen=True)
class Unpacked:
    """Folder with an archive's files, a line for each reason of a refusal, and notes on the encoding of names."""

    folder: Path
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """Member of an archive, as the archive declares it."""

    name: str
    kind: str
    """"file", "folder", or words for another kind, such as "a link"."""
    content: IO[bytes] | None
    """Open file with the member's bytes; None for all kinds but "file"."""


def unpacked(archive: Path) -> Unpacked:
    """Unpack an archive into the cache, once for each content. Raises SourceError, also for a full disk."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    home = cache_folder("archives") / f"{digest[:32]}-{FORMAT}"
    try:
        _unpack_once(archive, home)
    except OSError as error:
        raise SourceError(
            f"cannot unpack {archive} into {home.parent}: {reason_of(error)}; make room there, or name another "
            "folder by $PENNYWEIGHT_CACHE"
        ) from error
    record = read_json(home / DONE)
    return Unpacked(home / "files", tuple(record["refused"]), tuple(record["notes"]))


def _unpack_once(archive: Path, home: Path) -> None:
    if not (home / DONE).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked in a temporary folder, then renamed: another process finds the whole entry or none.
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unpacking-") as temporary:
            made = Path(temporary, "made")
            refused = unpack(archive, made / "files")
            write_json(made / DONE, {"archive": archive.name, "refused": refused, "notes": notes_on_names(archive)})
            try:
                made.rename(home)
            except OSError:
                if not (home / DONE).exists():
                    raise


def unpack(archive: Path, target: Path) -> tuple[str, ...]:
    """Write the plain files of `archive` under the new folder `target`.

    Returns:
        A line for each reason of a refusal: the number of refused members, the reason, and one of their names.

    Raises:
        SourceError: `archive` is not an archive, is damaged, or is a decompression bomb. `target` is removed.
    """
    target.mkdir(parents=True)
    budget = _budget(archive)
    refused: Counter[str] = Counter()
    examples: dict[str, str] = {}
    taken: dict[str, str] = {}
    folders: dict[str, str] = {}
    try:
        for count, member in enumerate(_members(archive, budget + SPARE_BYTES), 1):
            if count > MAX_MEMBERS:
                raise SourceError(
                    f"{archive} has more than {MAX_MEMBERS:,} members; it looks like a decompression bomb"
                )
            if _litter(member.name):
                if (top := member.name.split("/")[0]) == LITTER:
                    (target / top).mkdir(exist_ok=True)  # empty; the walk of the folder reports that it is skipped
                continue
            reason = _refusal(member, taken, folders)
            if reason:
                refused[reason] += 1
                examples.setdefault(reason, _shown(member.name))
            elif member.content is not None:
                budget -= _write(member, target, budget, archive)
    except BaseException as error:
        shutil.rmtree(target)
        # A damaged archive can raise nearly any error. An error of the disk has an errno: not the archive's fault.
        if not isinstance(error, Exception) or isinstance(error, SourceError) or getattr(error, "errno", None):
            raise
        raise SourceError(f"cannot unpack {archive}: {reason_of(error).rstrip(': ')}") from error
    return tuple(f"{count:,} × {reason}, such as {examples[reason]}" for reason, count in refused.most_common())


def members(archive: Path) -> Iterator[Member]:
    """Yield the members of an archive one by one, without unpacking. Raises SourceError for a damaged archive.

    Reading a member's `content` can raise nearly any error.
    """
    with reading(archive):
        for count, member in enumerate(_members(archive, _budget(archive) + SPARE_BYTES), 1):
            if count > MAX_MEMBERS:
                raise SourceError(
                    f"{archive} has more than {MAX_MEMBERS:,} members; it looks like a decompression bomb"
                )
            yield member


def _budget(archive: Path) -> int:
    """Return the largest number of bytes that an archive may unpack to."""
    return min(MAX_BYTES, max(SPARE_BYTES, archive.stat().st_size * MAX_RATIO))


def _members(archive: Path, most: int) -> Iterator[Member]:
    """Yield the members in stored order; the `content` of a file stays open until the next member is requested.

    Raises ValueError for a tar of more than `most` bytes, counting members that are not unpacked too.
    """
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
        with archive.open("rb") as file, tar_stream.unpacked(file) as tar:
            for entry in tar_stream.entries(tar, most):
                kind = _tar_kind(entry)
                yield Member(entry.name, kind, tar.extractfile(entry) if kind == "file" else None)


def notes_on_names(archive: Path) -> tuple[str, ...]:
    """Return a note on the encoding assumed for names of a zip that do not declare theirs; empty for other archives."""
    if not _is_zip(archive):
        return ()
    with zipfile.ZipFile(archive) as packed:
        unsaid = [info for info in packed.infolist() if _says_no_encoding(info)]
        if not unsaid:
            return ()
        encoding = _encoding(packed)
        named = {UTF8: "UTF-8", STANDARD: "cp437, the standard of zip"}[encoding]
        example = _shown(_zip_name(unsaid[0], encoding))
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


def _litter(name: str) -> bool:
    """Return whether macOS added the member on its own."""
    return name.split("/")[0] == LITTER or name.rpartition("/")[2] == ".DS_Store"


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


def _refusal(member: Member, taken: dict[str, str], folders: dict[str, str]) -> str | None:
    """Return the reason to refuse a member, or None. Records its names in `taken` (files) and `folders`."""
    name = member.name
    if member.kind not in ("file", "folder"):
        return f"{member.kind} is not unpacked"
    parts = name.rstrip("/").split("/")
    parts = parts[1:] if parts[0] == "." else parts
    if not parts or not "".join(parts):
        return None if member.kind == "folder" else "it has no name"
    if name.startswith("/"):
        return "an absolute path"
    colon = ":" in name if os.name == "nt" else parts[0][1:2] == ":"
    if "\\" in name or colon or any(ord(letter) < 32 for letter in name):
        return "a name that other systems read differently"
    if any(part in ("..", ".", "") for part in parts):
        return "a path that leads out of its folder" if ".." in parts else "a path with empty parts"
    if len(name) > MAX_NAME or any(len(os.fsencode(part)) > 255 for part in parts):
        return "a name that is too long"
    path, low = "/".join(parts), "/".join(parts).lower()
    for end in range(1, len(parts)):
        above = "/".join(parts[:end])
        if above.lower() in taken or folders.setdefault(above.lower(), above) != above:
            return CLASH
    if member.kind == "folder":
        clash = taken.get(low) or (folders.setdefault(low, path) if folders.get(low, path) != path else None)
        folders.setdefault(low, path)
    else:
        clash = taken.get(low) or folders.get(low)
        taken.setdefault(low, path)
    return CLASH if clash else None


def _write(member: Member, target: Path, budget: int, archive: Path) -> int:
    """Write one file and return its size in bytes. Raises SourceError when it exceeds `budget`."""
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
                    "it looks like a decompression bomb"
                )
            file.write(chunk)
    return written


def _shown(name: str) -> str:
    """Return a member's name as one line of printable characters, 120 at most."""
    shown = printable(name)
    return shown if len(shown) <= 120 else shown[:117] + "…"

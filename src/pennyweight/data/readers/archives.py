"""Archives of pictures, unpacked where they can do no harm: only plain files and folders, only under one new folder.

Members with `..`, absolute or drive paths, links, devices and names that clash where case does not count are refused
and counted by their reasons. A backslash in a zip separates folders, as Windows writes it. What an archive says of its
own sizes is not believed: bytes are counted as they are written.
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
"""Version of an unpacked archive; an archive of another version is unpacked again."""
LITTER = "__MACOSX"
"""Folder in which macOS packs what it keeps beside files."""
CLASH = "a name that clashes with another one, whatever their case"
UTF8, STANDARD = "utf-8", "cp437"
UTF8_FLAG = 0x800
ZIP_MAGICS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")


@dataclass(frozen=True)
class Unpacked:
    """The folder with an archive's files, and lines on the members that were refused and on the encoding of names."""

    folder: Path
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
    home = cache_folder("archives") / f"{digest[:32]}-{FORMAT}"
    try:
        _unpack_once(archive, home)
    except OSError as error:
        raise SourceError(
            f"cannot unpack {archive} into {home.parent}: {reason_of(error)}; make room there, or name another "
            "folder by $PENNYWEIGHT_CACHE"
        ) from error
    said = read_json(home / DONE)
    return Unpacked(home / "files", tuple(said["refused"]), tuple(said["notes"]))


def _unpack_once(archive: Path, home: Path) -> None:
    if not (home / DONE).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, then renamed: whoever comes at the same time finds all of it, or nothing.
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
    """Write the plain files of `archive` under the new folder `target`; return a line for each reason of a refusal.

    Raises SourceError for what is no archive, is damaged, or unpacks to more than its size lets expect; then nothing
    is left of it.
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
                raise SourceError(f"{archive} has more than {MAX_MEMBERS:,} members; it is taken for a bomb")
            if _litter(member.name):
                if (top := member.name.split("/")[0]) == LITTER:
                    (target / top).mkdir(exist_ok=True)  # empty: whoever walks there says that it is passed over
                continue
            reason = _refusal(member, taken, folders)
            if reason:
                refused[reason] += 1
                examples.setdefault(reason, _shown(member.name))
            elif member.content is not None:
                budget -= _write(member, target, budget, archive)
    except BaseException as error:
        shutil.rmtree(target)
        # A damaged archive can raise nearly anything; what the disk refuses has a number, and is no fault of it.
        if not isinstance(error, Exception) or isinstance(error, SourceError) or getattr(error, "errno", None):
            raise
        raise SourceError(f"cannot unpack {archive}: {reason_of(error).rstrip(': ')}") from error
    return tuple(f"{count:,} × {reason}, such as {examples[reason]}" for reason, count in refused.most_common())


def members(archive: Path) -> Iterator[Member]:
    """Yield the members of an archive, to be read one by one without unpacking. Raises SourceError where it is damaged.

    What a member's `content` raises when it is read can be nearly anything.
    """
    with reading(archive):
        for count, member in enumerate(_members(archive, _budget(archive) + SPARE_BYTES), 1):
            if count > MAX_MEMBERS:
                raise SourceError(f"{archive} has more than {MAX_MEMBERS:,} members; it is taken for a bomb")
            yield member


def _budget(archive: Path) -> int:
    """Return how many bytes an archive may unpack to."""
    return min(MAX_BYTES, max(SPARE_BYTES, archive.stat().st_size * MAX_RATIO))


def _members(archive: Path, most: int) -> Iterator[Member]:
    """Yield the members in their order; the `content` of a file is open until the next member is asked for.

    Raises ValueError for a tar of more than `most` bytes, whether its members are unpacked or not.
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
    """Say which encoding was assumed for the names of a zip that does not say it."""
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
        return file.read(4) in ZIP_MAGICS  # not zipfile's test, which is glad of a zip at the end of a tar


def _says_no_encoding(info: zipfile.ZipInfo) -> bool:
    return not info.flag_bits & UTF8_FLAG and not info.orig_filename.isascii()


def _encoding(packed: zipfile.ZipFile) -> str:
    """Return the encoding of names that do not say it: UTF-8 where all of them are that, as of Macs and Linux."""
    try:
        for info in packed.infolist():
            if _says_no_encoding(info):
                info.orig_filename.encode(STANDARD).decode(UTF8)
    except UnicodeError:
        return STANDARD
    return UTF8


def _zip_name(info: zipfile.ZipInfo, encoding: str) -> str:
    name = info.orig_filename.encode(STANDARD).decode(encoding) if _says_no_encoding(info) else info.orig_filename
    return name.replace("\\", "/")


def _litter(name: str) -> bool:
    """Whether it is what macOS puts beside files of its own accord."""
    return name.split("/")[0] == LITTER or name.rpartition("/")[2] == ".DS_Store"


def _zip_kind(info: zipfile.ZipInfo, name: str) -> str:
    if info.flag_bits & 1:
        return "a file behind a password"
    # Zips made on Unix keep the file type in the upper half.
    kind = info.external_attr >> 28
    special = {0o12: "a link", 0o2: "a device", 0o6: "a device", 0o1: "a pipe", 0o14: "a socket"}
    return special.get(kind) or ("folder" if name.endswith("/") else "file")


def _tar_kind(entry: tarfile.TarInfo) -> str:
    if entry.type == tar_stream.HOLES:
        return "a file with holes"
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
    colon = ":" in name if os.name == "nt" else parts[0][1:2] == ":"
    if "\\" in name or colon or any(ord(letter) < 32 for letter in name):
        return "a name that some systems read otherwise"
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

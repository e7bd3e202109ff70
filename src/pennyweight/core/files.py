"""Files that are whole or absent: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.locks import locked
from pennyweight.core.reading import parse_json, reading, reason_of

__all__ = [
    "as_stored",
    "as_text",
    "atomic",
    "clear_left_overs",
    "digest_of",
    "left_over_of",
    "read_json",
    "read_lines",
    "require_file",
    "require_new",
    "require_working_folder",
    "sha256",
    "special_kind",
    "split_part",
    "sync_folder",
    "write_json",
    "write_lines",
    "write_text",
]

MAX_JSON_BYTES = 1 << 28


def as_text(path: str | os.PathLike[str]) -> str:
    """A path for people and JSON: a name whose bytes are no UTF-8, as a disk may hold, gets � for each of them."""
    return os.fsencode(path).decode("utf-8", "replace")


def as_stored(path: Path) -> Path:
    """Return a path as the disk spells its accents, composed or decomposed; the path itself where none is there."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    at = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        spelled = (at / each for each in (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD"))))
        found = next((each for each in spelled if os.path.lexists(each)), None)
        if found is None:
            return path
        at = found
    return at


SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""Type of a file that is read without end, or not at all -> its name."""


def special_kind(mode: int) -> str:
    """Name the kind of file that `st_mode` says, where it is neither a plain file nor a folder."""
    return SPECIAL.get(stat.S_IFMT(mode), "a special file")


def require_file(path: str | os.PathLike[str]) -> int:
    """Return the bytes of a plain file, from its entry alone: a pipe or a device is never opened, so nothing waits.

    Raises OSError for anything else: IsADirectoryError for a folder, FileNotFoundError where there is nothing.
    """
    found = Path(path).stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {special_kind(found.st_mode)}, not a file", os.fspath(path))
    return found.st_size


LEFT_OVER = re.compile(r"\.(?P<stem>.+)\.\d+\.[0-9a-f]{8}\.tmp(?P<suffix>\.[^.]+)?")
"""The names that `atomic` gives: .STEM.PROCESS.RANDOM.tmp.SUFFIX."""
FULL_BYTES = 1 << 20
"""A disk with less room than this is full."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success it becomes `path`, on failure it goes.

    A reader sees the old file or the whole new one, also after a kill or a power cut. The temporary file is locked
    while it is written, so that `clear_left_overs` can tell it from one that a killed process left. An OSError names
    `path` and its reason.
    """
    # The suffix stays last, because some writers choose their format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        with locked(temporary, wait=False):
            yield temporary
            temporary.chmod(mode)  # some writers narrow it to their own user
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException as error:
        full = _is_full(path.absolute().parent)  # before the room that the temporary file took is free again
        with suppress(OSError):  # a disk that takes nothing lets nothing go either
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is None:  # numpy counts what it could not write, and says no more
            number, why = (errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else (errno.EIO, reason_of(error))
            raise OSError(number, why, os.fspath(path)) from error
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # a full disk names none, and nobody knows the temporary one
        raise
    sync_folder(path.parent)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def left_over_of(path: Path) -> str | None:
    """Return the name of the file that `atomic` was writing to `path`, or None where `path` is no such left-over.

    Only regular files that are named exactly as `atomic` names them count: no link, no other dot file.
    """
    match = LEFT_OVER.fullmatch(path.name)
    if match is None or path.is_symlink() or not path.is_file():
        return None
    return match["stem"] + (match["suffix"] or "")


def clear_left_overs(folder: Path, *, of: str | None = None) -> None:
    """Remove what killed processes left of `atomic` in `folder` (only those of the file named `of`, where given).

    A file that another process is still writing stays.
    """
    for path in list(folder.iterdir()):
        name = left_over_of(path)
        if name is None or of not in (None, name):
            continue
        with suppress(OSError), locked(path, wait=False) as dead:
            if dead:
                path.unlink()


def sha256(path: Path) -> str:
    """Of what a file holds, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_part(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split FILE#PART where FILE exists: the path, and what of it is meant. A file with # in its name counts first."""
    whole, text = Path(path), os.fspath(path)
    if whole.exists():
        return whole, None
    for place in (place for place, sign in reversed(list(enumerate(text))) if sign == "#"):
        if Path(text[:place]).is_file():
            return Path(text[:place]), text[place + 1 :]
    return whole, None


def sync_folder(folder: Path) -> None:
    """Flush the folder's own entries, so that a rename in it survives a power cut (POSIX)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_working_folder() -> None:
    """Raise InputError where the working folder was deleted: torch's libraries end the process there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the working folder was deleted; change to one that exists, such as `cd ~`") from None


def require_new(path: Path) -> None:
    """Raise InputError unless a file can be written to `path` that is not there yet: nothing is overwritten."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already; nothing is overwritten: name a file that is not there yet")
    if not path.absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.absolute().parent}")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, because JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises PennyweightError that names the file when it is not one."""
    with reading(path, PennyweightError):
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise ValueError(f"it has {size:,} bytes; what is kept as JSON has {MAX_JSON_BYTES:,} at most")
        text = path.read_text(encoding="utf-8")
    return parse_json(text, path)


def digest_of(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, as written or as read again; spaces and the order of keys are free."""
    plain = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a file that `write_lines` wrote. Raises PennyweightError that names the file."""
    with reading(path, PennyweightError):
        text = path.read_text(encoding="utf-8")
    return [parse_json(line, f"line {number} of {path}") for number, line in enumerate(text.split("\n"), 1) if line]


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write each of `values` as a line of JSON; whole or not at all."""
    write_text(path, "".join(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values))

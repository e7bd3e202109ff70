"""Write files atomically: to a temporary file in the same folder, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
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
    "expanded",
    "fault_of_name",
    "is_utf8",
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
    """Return a path as text for people and JSON, with an escape such as \\xff for each byte that is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Return whether the bytes of a path are UTF-8, whatever the locale."""
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def fault_of_name(path: str | os.PathLike[str]) -> str:
    """Return the reason why JSON text, which is Unicode, cannot hold a path; empty if it can."""
    if not is_utf8(path):
        return "has a name that is not UTF-8; rename it"
    if as_text(path) != os.fspath(path):
        return f"has a name beyond {sys.getfilesystemencoding()}, in which this Python reads names; set PYTHONUTF8=1"
    return ""


def as_stored(path: Path) -> Path:
    """Return a path with its accents as the disk has them, composed or decomposed; a missing path is unchanged."""
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


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of its ~; unchanged for a user without one, and for ~NOBODY."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError there


SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""Type of a file that cannot be read to an end -> its name."""


def special_kind(mode: int) -> str:
    """Return the name of the kind of file in `st_mode`, for neither a plain file nor a folder."""
    return SPECIAL.get(stat.S_IFMT(mode), "a special file")


def require_file(path: str | os.PathLike[str]) -> int:
    """Return the size of a plain file in bytes without opening it, because opening a pipe or a device can block.

    Raises OSError for anything else: IsADirectoryError for a folder, FileNotFoundError for a missing file.
    """
    found = Path(path).stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {special_kind(found.st_mode)}, not a file", os.fspath(path))
    return found.st_size


LEFT_OVER = re.compile(r"\.(?P<stem>.+)\.\d+\.[0-9a-f]{8}\.tmp(?P<suffix>\.[^.]+)?")
"""Names that `atomic` gives: .STEM.PROCESS.RANDOM.tmp.SUFFIX."""
FULL_BYTES = 1 << 20
"""Free bytes below which a disk counts as full."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` on success, remove it on failure.

    A reader sees the old file or the whole new one, also after a kill or a power cut. The temporary file is locked
    while it is written, so that `clear_left_overs` can tell it from one that a killed process left. An OSError names
    `path` and its reason.
    """
    # Some writers choose their format by the suffix, which therefore stays last.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        with locked(temporary, wait=False):
            yield temporary
            temporary.chmod(mode)  # some writers restrict it to their own user
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException as error:
        full = _is_full(path.absolute().parent)  # before removing the temporary file frees space
        with suppress(OSError):  # a failing disk may refuse the removal, too
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is None:  # numpy reports a short write without a reason
            number, why = (errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else (errno.EIO, reason_of(error))
            raise OSError(number, why, os.fspath(path)) from error
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # instead of none, or of the temporary file
        raise
    sync_folder(path.parent)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def left_over_of(path: Path) -> str | None:
    """Return the name of the file that a temporary file of `atomic` was to become; None for any other path.

    Only regular files with exactly such a name count: no links, no other dot files.
    """
    match = LEFT_OVER.fullmatch(path.name)
    if match is None or path.is_symlink() or not path.is_file():
        return None
    return match["stem"] + (match["suffix"] or "")


def clear_left_overs(folder: Path, *, of: str | None = None) -> None:
    """Remove the temporary files of `atomic` that killed processes left in `folder`.

    A file that another process is still writing stays.

    Args:
        folder: The folder.
        of: Name of a file; only its temporary files are removed.
    """
    for path in list(folder.iterdir()):
        name = left_over_of(path)
        if name is None or of not in (None, name):
            continue
        with suppress(OSError), locked(path, wait=False) as dead:
            if dead:
                path.unlink()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_part(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split FILE#PART into an existing file and its part; an existing file with # in its name has no part."""
    whole, text = Path(path), os.fspath(path)
    if whole.exists():
        return whole, None
    for place in (place for place, sign in reversed(list(enumerate(text))) if sign == "#"):
        if Path(text[:place]).is_file():
            return Path(text[:place]), text[place + 1 :]
    return whole, None


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut (POSIX)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_working_folder() -> None:
    """Raise InputError if the working folder has been deleted, where torch's libraries abort the process."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the working folder was deleted; change to one that exists, such as `cd ~`") from None


def require_new(path: Path) -> None:
    """Raise InputError unless `path` is a new file in an existing folder, because nothing is overwritten."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already; nothing is overwritten: name a new file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.absolute().parent}")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError for NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises PennyweightError with the file's name for anything else."""
    with reading(path, PennyweightError):
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise ValueError(f"it has {size:,} bytes; a JSON file has {MAX_JSON_BYTES:,} at most")
        text = path.read_text(encoding="utf-8")
    return parse_json(text, path)


def digest_of(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, which spaces and the order of keys do not change."""
    plain = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a file of JSON lines. Raises PennyweightError with the file's name."""
    with reading(path, PennyweightError):
        text = path.read_text(encoding="utf-8")
    return [parse_json(line, f"line {number} of {path}") for number, line in enumerate(text.split("\n"), 1) if line]


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write each of `values` as a line of JSON, atomically."""
    write_text(path, "".join(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values))

"""Files that are whole or absent: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.reading import parse_json, reading

__all__ = [
    "as_text",
    "atomic",
    "is_left_over",
    "read_json",
    "read_lines",
    "require_file",
    "require_new",
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


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success it becomes `path`, on failure it goes.

    A reader sees the old file or the whole new one, also after a kill or a power cut.
    """
    # The suffix stays last, because some writers choose their format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some writers narrow it to their own user
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # a disk that takes nothing lets nothing go either
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # a full disk names none, and nobody knows the temporary one
        raise
    sync_folder(path.parent)


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


def is_left_over(path: Path) -> bool:
    """Whether it is what a kill left of `atomic`: a file that never came to its place."""
    return path.name.startswith(".") and ".tmp" in path.suffixes


def sync_folder(folder: Path) -> None:
    """Flush the folder's own entries, so that a rename in it survives a power cut (POSIX)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a file that `write_lines` wrote. Raises PennyweightError that names the file."""
    with reading(path, PennyweightError):
        text = path.read_text(encoding="utf-8")
    return [parse_json(line, f"line {number} of {path}") for number, line in enumerate(text.split("\n"), 1) if line]


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write each of `values` as a line of JSON; whole or not at all."""
    write_text(path, "".join(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values))

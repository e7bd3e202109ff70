"""Download files: resume broken downloads, verify the publisher's checksum, keep files in a cache."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import time
from pathlib import Path
from typing import IO, Any

from pennyweight.core.cache import make_cache_folder
from pennyweight.core.errors import DownloadError
from pennyweight.core.files import sync_folder
from pennyweight.core.offline import require_network
from pennyweight.core.text import printable, say

__all__ = ["fetch"]

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection fails."""
NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "no file may be so large on this disk, or for this process",
}
"""Errors of the disk, as opposed to those of the connection, and their meaning."""
TRIES = 5
"""Most connections for one file, each of which must bring more of it."""


def fetch(url: str, path: Path, *, checksum: str, within_s: float = math.inf) -> Path:
    """Download `url` to `path`, unless the file exists, and verify its checksum.

    A broken connection is resumed while each try brings more bytes. After the last break, or after `within_s` seconds,
    the received bytes are kept next to `path`, and the next call resumes there. Progress is shown on standard error: a
    bar on a terminal, else a line.

    Args:
        url: https or http address.
        path: File to write.
        checksum: "sha256:" or "md5:" and hexadecimal digits; the first digits of a SHA-256 are enough.
        within_s: Largest duration in seconds.

    Returns:
        `path`.

    Raises:
        DownloadError: The download fails, the checksum differs, the disk is full, or PENNYWEIGHT_OFFLINE forbids
            downloads. The message says where to put the file by hand, or how many bytes the disk lacks.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"cannot download {url}: only https and http addresses are taken")
    if path.exists():  # checked first, because the cache may be read-only
        _verify(path, checksum, url, ours=False)
        return path
    require_network(url, instead=f"put the file at {path}")
    import http.client  # imported here, because only downloads need it

    from filelock import FileLock

    part = path.with_name(path.name + ".part")
    clock = _Clock(within_s)
    try:
        make_cache_folder(path.parent)
        # One of several processes downloads; the others wait for its file.
        with FileLock(path.with_name(path.name + ".lock"), timeout=-1 if math.isinf(within_s) else within_s):
            if not path.exists():
                _receive_all(url, part, clock)
                _verify(part, checksum, url, ours=True)
                part.replace(path)
                sync_folder(path.parent)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise _no_room(url, part, NO_ROOM[error.errno], None) from error
        reason = " ".join(str(getattr(error, "reason", None) or error).split()) or type(error).__name__
        raise DownloadError(
            f"cannot download {url}: {reason}; on a machine without network, put the file at {path}"
        ) from error
    return path


class _Clock:
    """Clock of a download that may take `within_s` seconds."""

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        self._end = time.monotonic() + within_s

    def left_s(self) -> float:
        """Return the seconds to wait for the next bytes. Raises TimeoutError when the time is over."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"it took longer than {self.within_s:.3g} s; the next try resumes there")
        return min(TIMEOUT_S, left_s)


def _receive_all(url: str, part: Path, clock: _Clock) -> None:
    """Fill `part` from `url` over up to TRIES connections, each of which must bring more bytes."""
    import http.client
    import urllib.error

    for number in range(1, TRIES + 1):
        had = _size(part)
        try:
            _receive(url, part, clock)
            return
        except urllib.error.HTTPError:  # an answer of the server, not a broken connection
            raise
        except (OSError, http.client.HTTPException):
            if number == TRIES or _size(part) <= had:
                raise


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, clock: _Clock) -> None:
    """Append the missing bytes of `url` to `part`, or write all of them if the server cannot resume."""
    import urllib.error
    import urllib.request
    from http import HTTPStatus

    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - see fetch
    try:
        response: Any = urllib.request.urlopen(request, timeout=clock.left_s())  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # `part` is complete; the checksum decides whether it is right
        raise
    with response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        try:
            with part.open("ab" if resumed else "wb") as file:
                _copy(response, file, part.stem, have, total, clock)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise _no_room(url, part, NO_ROOM[error.errno], total) from error
    if total is not None and part.stat().st_size < total:
        raise OSError(
            f"the connection ended after {part.stat().st_size:,} of {total:,} bytes; the next try resumes there"
        )


def _no_room(url: str, part: Path, reason: str, total: int | None) -> DownloadError:
    """Return the error of a full disk; the received bytes of `total` stay in `part`."""
    have = _size(part)
    missing = "" if total is None else f"; {total - have:,} of {total:,} bytes are missing"
    kept = f"; the {have:,} bytes in {part.name} are kept, and the next try resumes there" if have else ""
    return DownloadError(f"cannot download {url}: {reason}, {part.parent}{missing}{kept}")


def _copy(response: Any, file: IO[bytes], name: str, done: int, total: int | None, clock: _Clock) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    if not console.is_interactive:
        doing = f"resuming {name} at {done / 1e6:.1f} MB" if done else f"downloading {name}"
        size = "" if total is None else f", {total / 1e6:.1f} MB in all" if done else f", {total / 1e6:.1f} MB"
        say(doing + size, console=console)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_interactive) as bar:
        task = bar.add_task(printable(name), completed=done, total=total)
        while chunk := response.read1(CHUNK_BYTES):  # returns what has arrived: a slow server is noticed in time
            file.write(chunk)
            bar.advance(task, len(chunk))
            clock.left_s()
    file.flush()
    os.fsync(file.fileno())


def _verify(path: Path, checksum: str, url: str, *, ours: bool) -> None:
    """Raise DownloadError unless the file has the checksum; a file that was downloaded here (`ours`) is removed."""
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not expected or not found.startswith(expected):
        if ours:
            path.unlink()
        raise DownloadError(
            f"{path if not ours else path.stem} is not what {url} is known to hold: {algorithm} {found[:16]}… "
            f"instead of {expected[:16]}; "
            + ("it was removed, try again" if ours else "move it away to download it again")
        )

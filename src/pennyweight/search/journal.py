"""Journal file of a study, which survives workers that are killed while they write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from pennyweight.core.errors import InputError
from pennyweight.core.reading import reason_of

__all__ = ["Journal", "require_journal"]

RECORD = b'{"op_code":'
"""First bytes of every line."""
BLOCK = 1 << 16
LOCK_S = 30
"""Seconds after which another worker removes a lock: its worker was killed."""


class Journal(JournalFileBackend):
    """Journal file that drops a torn last line: its worker was killed, or the disk was full, while it was written.

    The lock is a file of its own, which another worker removes after LOCK_S. Optuna's
    usual lock is a symbolic link, which is never removed where the path of the journal is relative.
    """

    def __init__(self, path: Path) -> None:
        self._held = JournalFileOpenLock(str(path), LOCK_S)
        with _as_storage_error():
            super().__init__(str(path), self._held)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the whole lines from a number on. Raises StorageInternalError for a file that cannot be read."""
        with _as_storage_error():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines after the last whole one. Raises StorageInternalError for a file that cannot be written."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with _as_storage_error():
            self._held.acquire()
            try:
                with Path(self._file_path).open("r+b") as file:
                    file.truncate(_end_of_lines(file))
                    file.seek(0, os.SEEK_END)
                    file.write(lines.encode())
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                with suppress(RuntimeError):  # this process slept, and another worker removed the lock
                    self._held.release()


def require_journal(path: Path) -> None:
    """Raise InputError for a file that is not a journal, and name the line; a torn last line may be there."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not _is_record(line):
                raise InputError(
                    f"line {number:,} is not one of a journal of trials; nothing was changed, name another file"
                )


def _is_record(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return line.startswith(RECORD) or RECORD.startswith(line) or not line.strip(b"\0")
    try:
        return line.startswith(RECORD) and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _end_of_lines(file: IO[bytes]) -> int:
    """Return the place after the last line break; 0 where there is none."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


@contextmanager
def _as_storage_error() -> Iterator[None]:
    """Convert errors of the file to that of optuna's other storages."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise StorageInternalError(reason_of(error)) from error

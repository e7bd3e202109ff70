"""Folder on disk or behind an address: read and write whole files, and claim a name for one process at a time."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pennyweight.core.files import atomic
from pennyweight.core.offline import require_network

__all__ = ["LOCAL", "WRITABLE", "Folder"]

LOCAL = ("file", "local", "memory")
"""Protocols of addresses on this machine."""
WRITABLE = (*LOCAL, "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Protocols of addresses where files can be written."""
CLAIM_S = 90.0
"""Seconds after which a claim that its process does not renew is void; it renews a claim every third of them."""


@dataclass(frozen=True, eq=False)
class Folder:
    """Folder at a path, or at an address such as s3://bucket/birds."""

    url: str
    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Claim of another process -> its content and the time at which this process first saw it."""

    @property
    def local(self) -> bool:
        """Return whether the folder is a local path."""
        return "://" not in self.url

    @property
    def writable(self) -> bool:
        """Return whether files may be written there, as far as the address tells."""
        return self.local or self.url.partition("://")[0] in WRITABLE

    def inner(self, name: str) -> Folder:
        """Return a folder in this one."""
        return Folder(self.join(name))

    def join(self, name: str) -> str:
        """Return the path or the address of a file in the folder."""
        return f"{self.url.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        if self.local:
            return Path(self.join(name)).is_file()
        files, path = self._locate(name)
        return bool(files.exists(path))

    def names(self) -> list[str]:
        """Return the names of the files in the folder, sorted; none for a missing folder."""
        if self.local:
            folder = Path(self.url)
            return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
        files, path = self._locate("")
        try:
            files.invalidate_cache()
            return sorted(each.rstrip("/").rpartition("/")[2] for each in files.ls(path.rstrip("/"), detail=False))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it cannot be read."""
        try:
            if self.local:
                return Path(self.join(name)).read_bytes()
            files, path = self._locate(name)
            content: bytes = files.cat_file(path)
        except (OSError, ValueError):
            return None
        except Exception:  # a server's error of any kind: no such file
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file at once. Raises OSError, or an error of the server."""
        with self.writing(name) as path:
            path.write_bytes(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path whose file has the name at the end; after a failure nothing is there."""
        if self.local:
            target = Path(self.join(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic(target) as path:
                yield path
            return
        files, target_path = self._locate(name)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, name.rpartition("/")[2])
            yield path
            files.put_file(str(path), target_path)

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Hold a name against every other process and thread; give True if it is held.

        On disk a killed process loses its lock at once; behind an address its claim is void after CLAIM_S seconds.
        """
        with self._lock(f".{name}.lock") if self.local else self._mark(f"{name}.claim") as held:
            yield held

    @contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        path = Path(self.join(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                path.unlink()  # while it is held: another process then finds the work done, or locks a new file
            lock.release()

    @contextmanager
    def _mark(self, name: str) -> Iterator[bool]:
        files, path = self._locate(name)
        if not self._take(files, path, name):
            yield False
            return
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(files, path, ended), daemon=True)
        renewal.start()
        try:
            yield True
        finally:
            ended.set()
            renewal.join()
            with suppress(Exception):
                files.rm_file(path)

    def _take(self, files: Any, path: str, name: str) -> bool:
        """Write a claim where there is none, or a void one; return whether it is this process's."""
        content = self.read(name)
        if content is not None:
            mark, since = self._seen.setdefault(name, (content.decode("ascii", "replace"), time.monotonic()))
            if mark != content.decode("ascii", "replace"):
                self._seen.pop(name)
                return False
            if time.monotonic() - since < CLAIM_S:
                return False
            with suppress(Exception):
                files.rm_file(path)
        self._seen.pop(name, None)
        try:
            files.pipe_file(path, secrets.token_hex(8).encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def _renew(self, files: Any, path: str, ended: threading.Event) -> None:
        while not ended.wait(CLAIM_S / 3):
            with suppress(Exception):
                files.pipe_file(path, secrets.token_hex(8).encode())

    def _locate(self, name: str) -> tuple[Any, str]:
        """Return the file system, and the path of a name in it. Raises DownloadError in offline mode."""
        if self.url.partition("://")[0] not in LOCAL:
            require_network(self.url, instead="give a folder on this machine")
        import fsspec

        files, path = fsspec.url_to_fs(self.join(name))
        return files, path

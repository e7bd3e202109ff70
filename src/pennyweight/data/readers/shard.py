"""Shards: files of samples (WebDataset tars or Parquet), each read from its start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.core.extras import missing_part
from pennyweight.core.offline import require_network
from pennyweight.core.reading import reason_of
from pennyweight.data.readers.example import Example
from pennyweight.data.readers.parquet import batches, columns_of, content_of
from pennyweight.data.readers.storage import LOCAL
from pennyweight.data.readers.table_samples import open_table, read_table
from pennyweight.data.readers.tar_samples import read_tar
from pennyweight.data.source import Split

__all__ = ["ENDINGS", "Shard"]

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".parquet")
"""File extensions of shards."""

STAMPS = ("size", "ETag", "Last-Modified", "LastModified", "blob_id")
"""Facts of a file system that change with a file's content."""
PARTIAL = 206
"""Status of an http answer that is a part of a file."""
TABLE_BUFFER = 1 << 18
"""Bytes that are read together where a table is read page by page."""
RETRIES = 4
WAIT_S = 1.0
"""Seconds before the first retry of a server that fails; doubled before each further retry."""


@dataclass(frozen=True)
class Shard:
    """WebDataset tar or Parquet file, at a path or an address, and the split that it names."""

    url: str
    split: Split | None

    @property
    def name(self) -> str:
        """Return the last part of the path or address."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Return the name without its extension."""
        ending = next((each for each in ENDINGS if self.name.lower().endswith(each)), "")
        return self.name[: len(self.name) - len(ending)]

    @property
    def local(self) -> bool:
        """Return whether the shard is a local path; any address needs the extra `scale`."""
        return "://" not in self.url

    @property
    def is_table(self) -> bool:
        """Return whether the shard is a Parquet file."""
        return self.url.lower().endswith(".parquet")

    @property
    def stamp(self) -> str:
        """Return text that changes with the content: size and date. Raises SourceError for a missing file."""
        with self._converting_errors():
            if self.local:
                found = Path(self.url).stat()
                return f"{found.st_size} bytes of {found.st_mtime_ns}"
            files, path = self._locate()
            info = files.info(path)
            return ", ".join(f"{key} {info[key]}" for key in STAMPS if info.get(key) is not None)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Return the names of numbered classes, or None if the shard does not give them."""
        if not self.is_table:
            return None
        with self._converting_errors(), self._open() as file:
            names = columns_of(open_table(file), self.url).names
            return None if names is None else tuple(names)

    def examples(self) -> Iterator[Example]:
        """Yield the samples in order; retry a server that fails, and continue after the last sample.

        Raises SourceError with the file's name, also for a truncated file.
        """
        done = failures = 0
        with self._converting_errors():
            while True:
                try:
                    with self._open() as file:
                        for example in islice((read_table if self.is_table else read_tar)(file, self.url), done, None):
                            done, failures = done + 1, 0
                            yield example
                    return
                except (PennyweightError, FileNotFoundError, ImportError):
                    raise
                except Exception:
                    failures += 1
                    if self.local or failures > RETRIES:
                        raise
                    time.sleep(WAIT_S * 2 ** (failures - 1))

    @cached_property
    def has_ranges(self) -> bool:
        """Return whether parts of the file can be read alone; a few http servers send whole files only."""
        if not self.url.startswith("http"):
            return True
        with self._converting_errors():
            files, path = self._locate()
            # A server without ranges answers with the whole file, so its answer is not read.
            with files.open(path, "rb", block_size=0, headers={"Range": "bytes=0-0"}) as file:
                return bool(file.r.status == PARTIAL)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; retry a server that fails. Raises SourceError for a shorter file."""
        with self._converting_errors():
            for failures in count():
                try:
                    return self._read(start, stop)
                except (PennyweightError, FileNotFoundError, ImportError):
                    raise
                except Exception:
                    if self.local or failures == RETRIES:
                        raise
                    time.sleep(WAIT_S * 2**failures)
        raise AssertionError  # the loop returns or raises

    def _read(self, start: int, stop: int) -> bytes:
        if self.local:
            with Path(self.url).open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
        else:
            files, path = self._locate()
            # Others read ahead by default, which one request for a run has no use for.
            ahead = {} if files.async_impl else {"cache_type": "none"}
            content = files.cat_file(path, start=start, end=stop, **ahead)
        if len(content) != stop - start:
            raise SourceError(f"{self.url} has changed since it was first read: it ends at byte {start + len(content)}")
        return bytes(content)

    def group(self, number: int, at_once: int = 1) -> Iterator[bytes]:
        """Yield the pictures of a table's row group in order; a page of the file and `at_once` rows are held."""
        with self._converting_errors(), self._open() as file:
            table = open_table(file, buffer_size=TABLE_BUFFER)
            picture = columns_of(table, self.url).picture
            for rows in batches(table, file.seek(0, 2), [picture], [number], at_once):
                for value in rows.column(0):
                    yield content_of(value.as_py(), strict=False)

    def _open(self) -> IO[bytes]:
        """Open the file from its start; a tar over http as one stream, because a server may not support ranges."""
        if self.local:
            return Path(self.url).open("rb")
        files, path = self._locate()
        once = {"block_size": 0} if self.url.startswith("http") and not self.is_table else {}
        file: IO[bytes] = files.open(path, "rb", **once)
        return file

    def _locate(self) -> tuple[Any, str]:
        """Return the file system of an address, and the path in it. Raises DownloadError in offline mode."""
        if self.url.partition("://")[0] not in LOCAL:
            require_network(self.url, instead="give shards on this machine")
        import fsspec

        return fsspec.url_to_fs(self.url)  # type: ignore[no-any-return]

    @contextmanager
    def _converting_errors(self) -> Iterator[None]:
        """Convert every error of network, archive or table to a SourceError that names the file."""
        try:
            yield
        except PennyweightError:
            raise
        except ImportError as error:
            # fsspec wraps the error of a missing protocol module in its own.
            missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
            if isinstance(missing, ModuleNotFoundError) and missing_part(missing):
                raise missing from None
            raise SourceError(f"cannot read {self.url}: {reason_of(error)}") from error
        except FileNotFoundError as error:
            # fsspec raises FileNotFoundError for an unreachable server, too.
            reason = reason_of(error.__cause__) if isinstance(error.__cause__, OSError) else "there is no such file"
            raise SourceError(f"cannot read {self.url}: {reason}") from error
        except Exception as error:
            raise SourceError(f"cannot read {self.url}: {reason_of(error)}") from error

"""Shards: files of samples (WebDataset tars or Parquet), each read from its start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.core.extras import missing_part
from pennyweight.core.offline import require_network
from pennyweight.core.reading import read_most, reason_of
from pennyweight.core.retries import Patience, may_pass, retrying
from pennyweight.data.readers.addresses import file_part, shown_address
from pennyweight.data.readers.example import Example
from pennyweight.data.readers.parquet import columns_of, content_of
from pennyweight.data.readers.row_groups import COPIES, batches, largest_group
from pennyweight.data.readers.server_failures import may_pass_at_server, reason_at_server
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

SILENCE_S = 60.0
"""Seconds in which an http server must connect, and then send its next bytes."""

TAR_BYTES = 64_000_000
"""Bytes for the samples that are decoded together, and for the open file."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """WebDataset tar or Parquet file, at a path or an address, and the split that it names."""

    url: str
    split: Split | None

    @property
    def name(self) -> str:
        """Return the last part of the path or address, without a query."""
        return file_part(self.url).rpartition("/")[2]

    @property
    def shown(self) -> str:
        """Return the path, or the address without what gives access."""
        return shown_address(self.url)

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
        return self.name.lower().endswith(".parquet")

    @property
    def stamp(self) -> str:
        """Return text that changes with the content: size and date. Raises SourceError for a missing file."""
        with self._converting_errors():
            return retrying(self._stamp, self._may_pass)

    def _stamp(self) -> str:
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
        with self._converting_errors():
            return retrying(self._labels, self._may_pass)

    def _labels(self) -> tuple[str, ...] | None:
        with self._open() as file:
            names = columns_of(open_table(file), self.shown).names
            return None if names is None else tuple(names)

    @property
    def held_bytes(self) -> int:
        """Return about how many bytes are held while the shard is read from its start."""
        if not self.is_table:
            return TAR_BYTES
        with self._converting_errors():
            return TAR_BYTES + COPIES * retrying(self._largest_group, self._may_pass)

    def _largest_group(self) -> int:
        with self._open() as file:
            return largest_group(open_table(file))

    def examples(self) -> Iterator[Example]:
        """Yield the samples in order; retry a server that fails, and continue after the last sample.

        Raises SourceError with the file's name, also for a truncated file.
        """
        return self._resumed(self._examples)

    def _examples(self) -> Iterator[Example]:
        with self._open() as file:
            yield from (read_table if self.is_table else read_tar)(file, file_part(self.shown))

    def _resumed(self, read: Callable[[], Iterator[Item]]) -> Iterator[Item]:
        """Yield the items that `read` yields; after a failure that may pass, read again from the next item on."""
        done, patience = 0, Patience(self._may_pass)
        with self._converting_errors():
            while True:
                try:
                    for item in islice(read(), done, None):
                        done += 1
                        patience.succeed()
                        yield item
                    return
                except Exception as error:
                    patience.wait(error)

    def _may_pass(self, error: Exception) -> bool:
        """Return whether a failure may pass: most of a server may, and few of a disk."""
        if self.local:
            return not isinstance(error, PennyweightError) and may_pass(error)
        return may_pass_at_server(error)

    @cached_property
    def has_ranges(self) -> bool:
        """Return whether parts of the file can be read alone; a few http servers send whole files only."""
        if not self.url.startswith("http"):
            return True
        with self._converting_errors():
            return retrying(self._gives_ranges, self._may_pass)

    def _gives_ranges(self) -> bool:
        files, path = self._locate()
        # A server without ranges answers with the whole file, so its answer is not read.
        with files.open(path, "rb", block_size=0, headers={"Range": "bytes=0-0"}) as file:
            return bool(file.r.status == PARTIAL)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; retry a server that fails. Raises SourceError for a shorter file."""
        with self._converting_errors():
            return retrying(lambda: self._read(start, stop), self._may_pass)

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
            ends = f"ends at byte {start + len(content)}"
            if not self.local:  # or the answer was cut
                raise EOFError(f"it has changed since it was first read: it {ends}")
            raise SourceError(f"{self.shown} has changed since it was first read: it {ends}")
        return bytes(content)

    def content(self, most: int, within_s: float | None = None) -> bytes:
        """Return the whole file, with retries as of `read`.

        Args:
            most: Most bytes of the file.
            within_s: Seconds for all attempts; an attempt over http is ended then.

        Raises:
            SourceError: The file has more bytes, or cannot be read, or not in time.
        """
        ends = time.monotonic() + (math.inf if within_s is None else within_s)

        def passing(error: Exception) -> bool:
            web = self.url.startswith("http")
            return time.monotonic() < ends and (may_pass_at_server(error, first=True) if web else self._may_pass(error))

        with self._converting_errors():
            return retrying(lambda: self._content(most, ends), passing)

    def _content(self, most: int, ends: float) -> bytes:
        with self._open(ends - time.monotonic()) as file:
            content = read_most(file, most + 1)
        if len(content) > most:
            raise SourceError(f"{self.shown} has more than {most:,} bytes; download it, and name the file")
        return content

    def require_reader(self) -> None:
        """Raise ModuleNotFoundError without the extra for the address, and SourceError for an unknown protocol."""
        with self._converting_errors():
            import fsspec

            fsspec.get_filesystem_class(self.url.partition("://")[0])

    def group(self, number: int) -> Iterator[bytes]:
        """Yield the pictures of a table's row group in order, with retries as of `examples`."""
        return self._resumed(lambda: self._group(number))

    def _group(self, number: int) -> Iterator[bytes]:
        with self._open() as file:
            table = open_table(file)
            picture = columns_of(table, self.shown).picture
            for rows in batches(table, file.seek(0, 2), [picture], [number]):
                for value in rows.column(0):
                    yield content_of(value.as_py(), strict=False)

    def _open(self, within_s: float = math.inf) -> IO[bytes]:
        """Open the file from its start; a tar over http as one stream, because a server may not support ranges.

        A request of http raises TimeoutError after `within_s` seconds.
        """
        if self.local:
            return Path(self.url).open("rb")
        files, path = self._locate()
        once: dict[str, Any] = {"block_size": 0} if self.url.startswith("http") and not self.is_table else {}
        if once and within_s < math.inf:
            from aiohttp import ClientTimeout

            # With a size the file is not asked for it first, by a request without this limit. A limit of 0 is none.
            once |= {"size": 1, "timeout": ClientTimeout(total=max(within_s, 0.001))}
        file: IO[bytes] = files.open(path, "rb", **once)
        return file

    def _locate(self) -> tuple[Any, str]:
        """Return the file system of an address, and the path in it. Raises DownloadError in offline mode."""
        if self.url.partition("://")[0] not in LOCAL:
            require_network(self.shown, instead="give files on this machine")
        import fsspec

        if not self.url.startswith("http"):
            return fsspec.url_to_fs(self.url)  # type: ignore[no-any-return]
        from aiohttp import ClientTimeout

        # By default a request ends after five minutes, in which a large shard is not read, or not learned from.
        silence = ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)
        return fsspec.url_to_fs(self.url, client_kwargs={"timeout": silence})  # type: ignore[no-any-return]

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
            raise SourceError(f"cannot read {self.shown}: {reason_of(error)}") from error
        except Exception as error:
            reason = reason_at_server(error).replace(self.url, self.shown)
            raise SourceError(f"cannot read {self.shown}: {reason}") from error

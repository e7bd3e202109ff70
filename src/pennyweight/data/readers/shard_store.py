"""Make the index of a set shard by shard, together with every other process that works on it, and keep it.

The entry of a shard lies in INDEX next to it if that can be written, so that the next person has it; else in the
cache. A shard is claimed while it is read; a claim of a killed process is void.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path

from pennyweight.core.cache import cache_folder, make_cache_folder
from pennyweight.core.errors import SourceError
from pennyweight.core.files import clear_left_overs
from pennyweight.core.machine import cores, memory_share
from pennyweight.core.reading import reason_of
from pennyweight.core.text import say
from pennyweight.data.readers.addresses import file_part
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shard_entry import FORMAT, Entry, decode_entry, encode_entry, read_shard
from pennyweight.data.readers.shards import Shards
from pennyweight.data.readers.storage import Folder

__all__ = ["INDEX", "Store", "load_entries"]

INDEX = ".pennyweight"
"""Folder next to the shards with the entries of their index."""
READERS, HELD_BYTES, HELD_SHARE = 4, 256_000_000, 1 / 16
"""Shards that a process reads at a time, the bytes that they may hold, and their largest share of the memory of this
process; a shard that needs more is read alone."""
ASKED_AT_ONCE = 16
WAIT_S = 0.5
"""Seconds between two looks at the shards that other processes read."""
PUBLISHED = ("http", "https")
"""Protocols whose servers may have an index, though it cannot be written there."""


class Store:
    """Entry of one shard: next to the shard, else in the cache."""

    def __init__(self, shard: Shard, stamp: str) -> None:
        self.shard, self.stamp = shard, stamp
        digest = hashlib.sha256(f"{FORMAT} {shard.url} {stamp}".encode()).hexdigest()[:32]
        self._cached = Folder(str(cache_folder("streams"))), f"{digest}.npz"
        folder = Folder(f"{file_part(shard.url).rpartition('/')[0]}/{INDEX}")
        self._beside = folder, f"{shard.name}.npz"

    @cached_property
    def places(self) -> list[tuple[Folder, str]]:
        """Return the folders where an entry is looked for, each with the name of its file."""
        asked = self._beside[0].writable or self.shard.url.partition("://")[0] in PUBLISHED
        return [self._beside, self._cached] if asked else [self._cached]

    def load(self, *, decoded: bool = True) -> Entry | None:
        """Return the entry, or None; with `decoded` it is one whose pictures were decoded."""
        for folder, name in self.places:
            content = folder.read(name)
            entry = None if content is None else decode_entry(content, self.stamp)
            if entry is not None and (entry["decoded"] or not decoded):
                return entry
        return None

    def keep(self, entry: Entry) -> str:
        """Keep the entry, and return its folder. Raises SourceError if it can be written nowhere."""
        content = encode_entry(entry, self.stamp)
        for folder, name in self.places:
            if folder.writable:
                with suppress(Exception):  # a folder or a server that refuses: the cache is next
                    folder.write(name, content)
                    return folder.url
        folder, name = self._cached
        try:
            make_cache_folder(Path(folder.url))
            folder.write(name, content)
        except OSError as error:
            raise SourceError(
                f"cannot keep the index of {self.shard.shown} in {folder.url}: {reason_of(error)}"
            ) from error
        return folder.url

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Claim the shard where its entry will lie, else in the cache; give False while another process reads it."""
        for folder, name in self.places:
            if folder.writable:
                try:
                    claim = folder.claim(name)
                    held = claim.__enter__()
                except Exception:  # noqa: S112 - as in `keep`
                    continue
                try:
                    yield held
                finally:
                    claim.__exit__(None, None, None)
                return
        yield True


def load_entries(shards: Shards, *, decode: bool = True) -> list[Entry]:
    """Return the entry of every shard; read the shards without one, which other processes may do at the same time.

    Args:
        shards: The shards.
        decode: Decode every picture, or take entries for which that was done.

    Raises:
        SourceError: A shard cannot be read.
    """
    stores = [Store(shard, str(stamp)) for shard, (_, _, stamp) in zip(shards.files, shards.stamps, strict=True)]
    with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
        entries = list(pool.map(partial(Store.load, decoded=decode), stores))
    missing = [number for number, entry in enumerate(entries) if entry is None]
    if missing:
        _clear_left_overs(stores)
        for number, entry in _read_missing(shards, [stores[number] for number in missing], missing, decode=decode):
            entries[number] = entry
    return [entry for entry in entries if entry is not None]


def _clear_left_overs(stores: Sequence[Store]) -> None:
    """Remove what killed processes left of entries on disk."""
    for url in {folder.url for store in stores for folder, _ in store.places if folder.local}:
        with suppress(OSError):
            clear_left_overs(Path(url))


def _read_missing(
    shards: Shards, stores: Sequence[Store], numbers: Sequence[int], *, decode: bool
) -> Iterator[tuple[int, Entry]]:
    """Yield (number, entry) of each shard as it is done, here or by another process."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    first = os.environ.get("RANK", "0") == "0"
    if first:
        how = "" if decode else ", without decoding their pictures"
        say(f"reading {len(stores)} of {len(shards.files)} shards of {shards.name}{how}", console=console)
    waiting = list(zip(numbers, stores, strict=True))
    random.Random(os.getpid()).shuffle(waiting)  # noqa: S311 - processes that begin together take different shards
    where, room = set[str](), _Room(memory_share(HELD_BYTES, HELD_SHARE))
    with (
        ThreadPoolExecutor(max_workers=cores()) as decoders,
        ThreadPoolExecutor(max_workers=min(READERS, cores())) as readers,
        Progress(console=console, disable=not (first and console.is_interactive), transient=True) as bar,
    ):
        task = bar.add_task("shards", total=len(stores))
        while waiting:
            left: list[tuple[int, Store]] = []
            read = partial(_read, pool=decoders, room=room, decode=decode)
            jobs = readers.map(read, (store for _, store in waiting))
            for (number, store), done in zip(waiting, jobs, strict=True):
                if done is None:
                    left.append((number, store))
                    continue
                where.update(filter(None, [done[1]]))
                bar.advance(task)
                yield number, done[0]
            waiting = left
            if waiting:
                time.sleep(WAIT_S)
    if first and where:
        say(f"kept the index of {shards.name} in {', '.join(sorted(where))}", console=console)


class _Room:
    """Bytes that threads share."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, wanted: int) -> Iterator[None]:
        """Hold bytes; wait until they are free. More than there are is all of them."""
        wanted = min(wanted, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def _read(store: Store, pool: Executor, room: _Room, *, decode: bool) -> tuple[Entry, str] | None:
    """Return the entry of a shard and where it was kept now; None while another process reads the shard."""
    with store.claim() as held:
        if not held:
            return None
        if (entry := store.load(decoded=decode)) is not None:
            return entry, ""
        with room.taking(store.shard.held_bytes):
            entry = read_shard(store.shard, pool, decode=decode)
        return entry, store.keep(entry)

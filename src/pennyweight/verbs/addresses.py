"""Pictures at addresses, and those of streamed shards, for `predict`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pennyweight.core.errors import DownloadError, PennyweightError, SourceError
from pennyweight.core.prefetch import prefetch
from pennyweight.data.readers.suffixes import ARCHIVES, TABLES
from pennyweight.runtime import Failure, NamedPicture

if TYPE_CHECKING:
    from pennyweight.data.readers.shard import Shard

__all__ = ["MAX_PICTURE_BYTES", "Unfetched", "at_address", "fetched", "is_address", "listed_at", "shards_of"]

MAX_PICTURE_BYTES = 256 << 20
"""The largest picture file that is read out of an archive."""
MAX_FETCHED_BYTES = 32 << 20
"""The largest picture file that is fetched; 2 * AHEAD of them are in memory at most."""
FETCH_S = 120.0
"""Seconds for a picture, after which a server that sends a byte now and then is left."""
AHEAD = 32
"""Pictures that are fetched at the same time, because a server takes its time for each."""
ADDRESS = re.compile(r"(?!file:|data:)[a-z][a-z0-9]*://", re.IGNORECASE)
HUB = "hf:"

Note = Callable[[str], None]


def is_address(path: str) -> bool:
    """Return whether a path is a URL of another machine, or a name of the Hugging Face hub."""
    return ADDRESS.match(path) is not None or path.startswith(HUB)


@dataclass(frozen=True, kw_only=True, repr=False)
class Unfetched(Failure):
    """Picture or shard that a later call may get: its server failed, or was not reached."""


class Remote(NamedTuple):
    """Picture at an address, fetched when it is read."""

    address: str

    def read(self) -> bytes:
        """Return the content. Raises SourceError, and DownloadError in offline mode."""
        from pennyweight.data.readers.shard import Shard

        return Shard(self.address, None).content(MAX_FETCHED_BYTES, within_s=FETCH_S)


def at_address(address: str) -> NamedPicture | Failure:
    """Return the picture at an address, or the reason that there can be none.

    Raises ModuleNotFoundError without the extra that the address needs.
    """
    from pennyweight.data.readers.addresses import file_part, normal_address, shown_address
    from pennyweight.data.readers.shard import Shard

    name = shown_address(address)
    if file_part(address).lower().endswith((*ARCHIVES, *TABLES)):
        advice = "download it, and name the file; pictures and shards (.tar, .parquet) are read at their address"
        return Failure(source=name, error=f"{name} is an archive or a table at an address; {advice}")
    try:
        address = normal_address(address)
        Shard(address, None).require_reader()
    except SourceError as error:
        return Failure(source=name, error=str(error))
    return NamedPicture(shown_address(address), Remote(address))


def shards_of(path: str, note: Note = lambda line: None) -> tuple[Shard, ...]:
    """Return the streamed shards that a path means; none for a path or an address of pictures.

    Raises:
        SourceError: The path has a brace without its partner, or the hub has no such set.
        DownloadError: Offline mode forbids to ask the hub.
    """
    if not is_address(path):
        return ()
    from pennyweight.data.readers.addresses import file_part
    from pennyweight.data.readers.braces import expand_braces
    from pennyweight.data.readers.shard import ENDINGS
    from pennyweight.data.readers.shards import open_shards

    if not path.startswith(HUB) and not all(file_part(each).lower().endswith(ENDINGS) for each in expand_braces(path)):
        return ()
    shards = open_shards(path)
    for line in shards.notes:
        note(line)
    return shards.files


def pictures_of_shard(shard: Shard) -> Iterator[NamedPicture | Failure]:
    """Yield the samples of a shard; a shard that ends early, or is not there, is a failure of its own."""
    from pennyweight.data.readers.addresses import file_part

    file, found = file_part(shard.shown), False
    place = file.removesuffix(shard.name) if shard.is_table else f"{file}/"
    try:
        for example in shard.examples():
            found, source = True, f"{place}{example.key}"
            if example.picture:
                yield NamedPicture(source, example.picture)
            else:
                yield Failure(source=source, error=f"cannot read {source}: {example.fault or 'it has no picture'}")
    except PennyweightError as error:
        yield _failure_of(file, error)
    else:
        if not found:
            yield Failure(source=file, error=f"{shard.shown} has no pictures")


def listed_at(path: str, note: Note) -> Iterator[NamedPicture | Failure]:
    """Yield the pictures at an address, which may have braces, or those of the shards there."""
    from pennyweight.data.readers.addresses import shown_address
    from pennyweight.data.readers.braces import expand_braces

    try:
        shards = shards_of(path, note)
        addresses = [] if shards else expand_braces(path)
    except PennyweightError as error:
        yield Failure(source=shown_address(path), error=str(error))
        return
    for shard in shards:
        yield from pictures_of_shard(shard)
    yield from map(at_address, addresses)


def fetched(pictures: Iterable[NamedPicture | Failure]) -> Iterator[NamedPicture | Failure]:
    """Yield the pictures in order; fetch those at addresses, many at the same time."""
    for remote, run in groupby(pictures, key=_is_remote):
        if remote:
            for each, _ in prefetch((partial(_fetch, named) for named in run), AHEAD, threads=AHEAD):
                yield each
        else:
            yield from run


def _is_remote(named: NamedPicture | Failure) -> bool:
    return isinstance(named, NamedPicture) and isinstance(named.picture, Remote)


def _fetch(named: NamedPicture | Failure) -> NamedPicture | Failure:
    assert isinstance(named, NamedPicture)
    assert isinstance(named.picture, Remote)
    try:
        return named._replace(picture=named.picture.read())
    except PennyweightError as error:
        return _failure_of(named.source, error)


def _failure_of(source: str, error: PennyweightError) -> Failure:
    """Return the failure to read a picture or a shard at an address."""
    from pennyweight.data.readers.server_failures import may_pass_later

    kind = Unfetched if isinstance(error, DownloadError) or may_pass_later(error.__cause__) else Failure
    reason = str(error)
    return kind(source=source, error=reason if source in reason else f"cannot read {source}: {reason}")

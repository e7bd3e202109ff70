"""Pictures of each part: a fixed number of the listed ones, or a whole streamed shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING

from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.data import ReadAs
from pennyweight.verbs.addresses import pictures_of_shard, shards_of
from pennyweight.verbs.inputs import is_table, pictures_given
from pennyweight.verbs.parts.folder import Picture, stamp_of

if TYPE_CHECKING:
    from pennyweight.data.readers.shard import Shard

__all__ = ["Group", "groups_of"]

Note = Callable[[str], None]


@dataclass(frozen=True)
class Group:
    """Pictures of a part."""

    pictures: Iterator[Picture]
    shard: Shard | None = None
    """Shard that is the part. Its pictures are not listed to check the part, which would read the shard."""

    def listed(self) -> list[tuple[str, str]]:
        """Return name and present stamp of each picture, without reading them."""
        return [(each.source, stamp_of(each)) for each in self.pictures]

    def shard_stamp(self) -> str:
        """Return the shard's present stamp; empty if its server does not tell, or in offline mode."""
        try:
            return "" if self.shard is None else self.shard.stamp
        except (SourceError, DownloadError):
            return ""


def groups_of(paths: Sequence[str], size: int, read_as: ReadAs, note: Note) -> Iterator[Group]:
    """Yield the pictures of each part, lazily and in the order of the paths.

    Args:
        paths: Paths and addresses, as `pictures_given` takes them.
        size: Pictures of a part; a streamed shard is a part of its own, of any size.
        read_as: Columns, folder and ending of the tables.
        note: Callback that is given a line for skipped files.

    Raises:
        SourceError: An address of shards has a brace without its partner, or the hub has no such set.
    """
    found = [(path, shards_of(path, note)) for path in paths]
    for of_shards, run in groupby(found, key=lambda each: bool(each[1])):
        if of_shards:
            for _, shards in run:
                yield from (Group(pictures_of_shard(shard), shard) for shard in shards)
            continue
        plain = [path for path, _ in run]
        how = read_as if any(map(is_table, plain)) else None
        yield from map(Group, _groups(pictures_given(plain, note, read_as=how), size))


def _groups(listed: Iterable[Picture], size: int) -> Iterator[Iterator[Picture]]:
    """Yield an iterator for each part, so that no part's files are in memory together; pass over what is left of it."""
    waiting = iter(listed)
    for first in waiting:
        group = chain([first], islice(waiting, size - 1))
        yield group
        for _ in group:
            pass

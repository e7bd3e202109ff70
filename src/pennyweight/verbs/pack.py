"""`pack`: any source into mixed shards with their index."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from pennyweight import data
from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.figures import number, several
from pennyweight.core.files import expanded
from pennyweight.core.reasons import by_reason, doctor_lists
from pennyweight.core.sizes import parse_size
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.packing.plan import Format, make_plan
from pennyweight.data.packing.write import write_pack
from pennyweight.data.readers.storage import Folder

__all__ = ["Packed", "pack"]


@dataclass(frozen=True, repr=False)
class Packed(Summary):
    """Shards that `pack` wrote."""

    address: str
    """Folder or address of the shards, which `pw.fit` takes."""
    shards: tuple[str, ...]
    images: int
    labels: tuple[str, ...]
    unreadable: int
    """Pictures that cannot be read, packed as they are."""

    def _facts(self) -> Facts:
        yield "address", self.address
        yield "shards", number(len(self.shards))
        yield "images", number(self.images)
        yield "classes", number(len(self.labels))

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "address": self.address,
            "shards": list(self.shards),
            "images": self.images,
            "labels": list(self.labels),
            "unreadable": self.unreadable,
        }


def pack(
    source: data.AnySource,
    out: str | os.PathLike[str],
    *,
    shard_size: str | int = "256MB",
    format: Format = "webdataset",
    resize: int | None = None,
    group_by: str | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda count: None,
    note: Callable[[str], None] = lambda line: None,
) -> Packed:
    """Pack a source into shards of shuffled samples, with their index and the splits of the source.

    Equal sources and options make equal bytes. After a kill, the same call completes the pack. Several processes may
    make the same call to share the work.

    Args:
        source: Source that `pw.fit` takes.
        out: Folder of the shards: a path, or an address such as s3://bucket/birds. It is new or empty, or holds a part
            of the same pack.
        shard_size: Approximate size of a shard: bytes, or a text such as "256MB".
        format: "webdataset" for tar files, or "parquet".
        resize: Largest short side of the pictures in pixels; larger pictures are made smaller.
        group_by: Groups of pictures that stay in one split, as `pw.fit` takes it; the splits are then made now.
        read_as: Columns, folder, ending and label_from of a source, as `pw.fit` takes them.
        advance: Callback that is given the number of pictures after each shard.
        note: Callback that is given a line about the reading of the source.

    Returns:
        The shards: `address`, `shards`, `images`, `labels`, `unreadable`.

    Raises:
        SourceError: The source cannot be read, or a shard cannot be written.
        InputError: `out` holds other files, or an argument is out of range.
    """
    _require_options(out, format, resize)
    shard_bytes = parse_size(shard_size, "shard_size")
    folder = _folder(os.fspath(out))
    opened = data.open(source, group_by=group_by, read_as=read_as)
    listed = doctor_lists("" if data.is_passed(opened.address) else opened.address)
    for line in (*opened.notes, *by_reason(opened.unreadable, "left out: ", listed=listed)):
        note(line)
    if opened.group_by is not None and not opened.has_splits:
        note(f"the splits train, val and test are made now, so that groups ({opened.group_by}) stay together")
        opened = _with_splits(opened)
    plan = make_plan(opened, shard_bytes=shard_bytes, kind=format, resize=resize)
    unreadable = write_pack(plan, folder, advance)
    if unreadable:
        count = several(unreadable, "picture")
        note(f"{count} cannot be read: packed unchanged; {listed}")
    files = tuple(part.file for part in plan.parts)
    return Packed(folder.url, files, len(opened.samples), opened.labels, unreadable)


def _require_options(out: object, format: object, resize: object) -> None:
    """Raise InputError for an option that cannot be used, before the source is read."""
    kinds = get_args(Format)
    if format not in kinds:
        raise InputError(f"unknown format '{format}'{nearest(str(format), kinds)}; there are {' and '.join(kinds)}")
    if resize is not None and (isinstance(resize, bool) or not isinstance(resize, int) or resize < 1):
        raise InputError(f"resize is a number of pixels such as 256, not {received(resize)}")
    if not isinstance(out, (str, os.PathLike)):
        raise InputError(f"a folder or an address for the shards was expected, not {received(out)}")


def _folder(address: str) -> Folder:
    """Return the folder of the shards. Raises InputError for an address that cannot be written."""
    folder = Folder(address if "://" in address else str(expanded(address).absolute()))
    if not folder.writable:
        raise InputError(
            f"{address} cannot be written; shards go to a folder, or to an address such as s3://bucket/birds"
        )
    return folder


def _with_splits(source: data.Source) -> data.Source:
    made = data.split(source)
    return replace(source, samples=tuple(replace(each, split=name) for name in data.SPLITS for each in made[name]))

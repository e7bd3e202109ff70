"""Index of one shard: key, class, digest, size and place of every sample, and the faults of samples."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.images import decode_bands, header
from pennyweight.data.digests import digests_of_file
from pennyweight.data.readers.example import Example
from pennyweight.data.readers.shard import Shard

__all__ = ["FORMAT", "Entry", "decode_entry", "encode_entry", "join_entries", "read_shard"]

FORMAT = 7
AT_ONCE = 256
"""Samples that are decoded together; their files are held in memory."""
HELD_BYTES = 32 << 20
"""Bytes of these files at which a smaller batch is decoded."""
Entry = dict[str, NDArray[Any]]
"""Columns of Row by name, each (samples,); `names` (classes,): the names of numbered classes, if the shard gives them;
`decoded` (): whether every picture was decoded."""


class Row(NamedTuple):
    """Facts about one sample."""

    key: str
    label: str
    """Class as the shard writes it; empty without one."""
    digest: str
    """SHA-256 of the picture file."""
    pixels: str
    """Digest by which the picture is known where that is of its pixels; else empty."""
    size: int
    """Bytes of the picture file."""
    reason: str
    """Reason for which the sample cannot be used; empty for a usable one."""
    header: tuple[int, int, int]
    """Height and width of the upright picture, and bands; zeros without a header. With a header, the reason is that the
    picture cannot be decoded."""
    mode: str
    """Mode as in Header."""
    place: int
    """Byte at which the picture begins in a tar, or row group in a table, as in Example."""
    note: str
    split: str


COLUMNS: dict[str, type] = {
    **dict.fromkeys(("key", "label", "reason", "mode", "note", "split"), np.str_),
    **dict.fromkeys(("size", "header", "place"), np.int64),
    **dict.fromkeys(("digest", "pixels"), np.bytes_),
}


def read_shard(shard: Shard, pool: Executor, *, decode: bool = True) -> Entry:
    """Read a shard from its start, and look at every picture in `pool`.

    Args:
        shard: The shard.
        pool: Threads.
        decode: Decode every picture; else its header alone is read.

    Raises:
        SourceError: The shard cannot be read.
    """
    rows: list[Row] = []
    for some in _batches(shard.examples()):
        rows += pool.map(partial(_inspect, decode=decode), some)
        if len(rows) == len(some) == AT_ONCE and len({each.fault.removeprefix(each.key) for each in some}) == 1:
            _require_no_fault(some[0], shard)
    columns = zip(*rows, strict=True) if rows else ([] for _ in Row._fields)
    entry: Entry = {
        name: np.array(list(values), COLUMNS[name]) for name, values in zip(Row._fields, columns, strict=True)
    }
    names = np.array(shard.labels or (), np.str_)
    return {**entry, "header": entry["header"].reshape(-1, 3), "names": names, "decoded": np.array(decode)}


def encode_entry(entry: Entry, stamp: str) -> bytes:
    """Return an entry as the bytes of an .npz file, with the stamp of its shard."""
    file = io.BytesIO()
    columns: dict[str, Any] = {**entry}
    np.savez_compressed(file, **columns, stamp=np.array([str(FORMAT), stamp]))
    return file.getvalue()


def decode_entry(content: bytes, stamp: str) -> Entry | None:
    """Return the entry in the bytes of an .npz file; None if the file is damaged, or has another format or stamp.

    Args:
        content: Bytes of the file.
        stamp: Text that changes with the shard, so that an entry of an earlier shard is not used.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if file["stamp"].tolist() != [str(FORMAT), stamp]:
                return None
            entry = {name: np.asarray(file[name]) for name in (*Row._fields, "names", "decoded")}
    except Exception:  # any damage: read the shard again
        return None
    whole = len({len(entry[name]) for name in Row._fields}) == 1 and entry["header"].shape[1:] == (3,)
    known = all(np.issubdtype(entry[name].dtype, COLUMNS[name]) for name in Row._fields)
    return entry if whole and known and entry["decoded"].dtype == np.bool_ else None


def join_entries(entries: Iterable[Entry]) -> tuple[NDArray[np.int64], Entry]:
    """Return the start of each entry and the end, (entries + 1,), and the columns of all samples."""
    parts = list(entries)
    starts = np.concatenate([[0], np.cumsum([len(part["key"]) for part in parts])]).astype(np.int64)
    return starts, {name: np.concatenate([part[name] for part in parts]) for name in Row._fields}


def _require_no_fault(example: Example, shard: Shard) -> None:
    """Raise SourceError for a fault that the first AT_ONCE samples share, before the others are read."""
    if example.fault:
        raise SourceError(f"the first {AT_ONCE} samples of {shard.shown} cannot be used: {example.fault}")


def _batches(examples: Iterator[Example]) -> Iterator[list[Example]]:
    """Yield batches of AT_ONCE samples, or fewer once they exceed HELD_BYTES."""
    some: list[Example] = []
    held = 0
    for example in examples:
        some.append(example)
        held += len(example.picture)
        if len(some) == AT_ONCE or held > HELD_BYTES:
            yield some
            some, held = [], 0
    if some:
        yield some


def _inspect(example: Example, *, decode: bool) -> Row:
    key, picture, label, place, reason, note, split = example
    shape, mode = (0, 0, 0), ""
    content, file = digests_of_file(picture)
    digest, pixels = (file, content) if file else (content, "")
    try:
        if not reason:
            found = header(picture, name=key)
            shape, mode = (*found.upright, found.bands), found.mode
            if decode:
                decode_bands(picture, channels=found.bands, name=key)
    except ImageError as error:
        reason = str(error)
    return Row(key, label, digest, pixels, len(picture), reason, shape, mode, place, note, split or "")

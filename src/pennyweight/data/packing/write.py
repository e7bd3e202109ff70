"""Write the shards of a plan, each whole or not at all, together with every other process that works on them."""

from __future__ import annotations

import io
import json
import random
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.files import clear_left_overs
from pennyweight.core.machine import cores
from pennyweight.core.reading import reason_of
from pennyweight.data.packing.contents import content_of
from pennyweight.data.packing.plan import Packing, Part
from pennyweight.data.packing.spool import Spool, needs_order, room
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shard_entry import read_shard
from pennyweight.data.readers.shard_store import INDEX, Store
from pennyweight.data.readers.storage import Folder
from pennyweight.data.source import Sample

__all__ = ["write_pack"]

Content = Callable[[Sample], bytes]
"""Function that returns a sample's picture file as the shards hold it."""
PLAN = "pack.json"
WRITERS = 4
"""Shards that a process writes at a time."""
WAIT_S = 0.5
"""Seconds between two looks at the shards that other processes write."""
GROUP_BYTES = 2 << 20
"""Approximate bytes of a row group, which is read as a whole."""


def write_pack(plan: Packing, out: Folder, advance: Callable[[int], None]) -> int:
    """Write the shards of the plan that are not there, and their index.

    Args:
        plan: The plan.
        out: Folder of the shards, which is empty, or has some of the shards of the same plan.
        advance: Callback that is given the number of samples after each shard.

    Returns:
        The number of pictures that cannot be read, which are packed as they are.

    Raises:
        InputError: The folder holds other files.
        SourceError: A shard cannot be written.
    """
    _require_own(plan, out)
    waiting = list(plan.parts)
    random.shuffle(waiting)  # processes that begin together take different shards
    unreadable = 0
    with ThreadPoolExecutor(max_workers=cores()) as pool, ThreadPoolExecutor(max_workers=WRITERS) as writers:
        while waiting:
            left: list[Part] = []
            for some in _together(plan, waiting):
                with _reading(plan, some, out, pool) as content:
                    write = partial(_complete, plan, out=out, pool=pool, content=content)
                    for part, count in zip(some, writers.map(write, some), strict=True):
                        if count is None:
                            left.append(part)
                        else:
                            unreadable += count
                            advance(len(part.samples))
            waiting = left
            if waiting:
                time.sleep(WAIT_S)
    return unreadable


def _together(plan: Packing, parts: Sequence[Part]) -> list[Sequence[Part]]:
    """Return the shards that are written from one reading of the source: all, or as many as a scratch file holds."""
    if not needs_order([sample for part in parts for sample in part.samples]):
        return [parts]
    count = max(1, room() // plan.shard_bytes)
    return [parts[start : start + count] for start in range(0, len(parts), count)]


@contextmanager
def _reading(plan: Packing, parts: Sequence[Part], out: Folder, pool: Executor) -> Iterator[Content]:
    """Give the function that returns a sample's picture file, for the shards that are not there yet."""
    missing = [sample for part in parts if not out.exists(part.file) for sample in part.samples]
    if not needs_order(missing):
        yield lambda sample: content_of(sample, plan.resize)
        return
    try:
        spool = Spool(missing, plan.resize, pool)
    except OSError as error:
        raise SourceError(f"cannot keep pictures of the source in the cache: {reason_of(error)}") from error
    with spool:
        yield spool.read


def _require_own(plan: Packing, out: Folder) -> None:
    """Record the plan in the folder. Raises InputError if it holds another plan, or files of another origin."""
    record = json.dumps(plan.to_dict(), indent=1, sort_keys=True).encode()
    inner = out.inner(INDEX)
    try:
        if out.local and Path(out.url).is_dir():
            clear_left_overs(Path(out.url))
        before = inner.read(PLAN)
        if before is None and (others := [name for name in out.names() if not name.startswith(".")]):
            raise InputError(f"{out.url} holds {others[0]} already; name a new folder for the shards")
        if before not in (None, record):
            raise InputError(
                f"{out.url} holds shards of another source, or with other options; repeat the same command to complete "
                "them, or name a new folder"
            )
        if before is None:
            inner.write(PLAN, record)
    except InputError:
        raise
    except Exception as error:
        raise SourceError(f"cannot write to {out.url}: {reason_of(error)}") from error


def _complete(plan: Packing, part: Part, *, out: Folder, pool: Executor, content: Content) -> int | None:
    """Write a shard and its index if they are missing; return its unreadable pictures, None while another does it."""
    shard = Shard(out.join(part.file), part.split)
    try:
        with out.inner(INDEX).claim(part.file) as held:
            if not held:
                return None
            if not out.exists(part.file):
                with out.writing(part.file) as path:
                    WRITE[plan.format](plan, part, path, map(content, part.samples))
            store = Store(shard, shard.stamp)
            if (entry := store.load()) is None:
                entry = read_shard(shard, pool)
                store.keep(entry)
    except OSError as error:
        raise SourceError(f"cannot write {shard.url}: {reason_of(error)}") from error
    return int((entry["reason"] != "").sum())


def _write_tar(plan: Packing, part: Part, path: Path, contents: Iterator[bytes]) -> None:
    """Write a tar: for each sample a picture, its class as a number in `.cls`, and its name and label in `.json`."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for place, content in enumerate(contents):
            sample = part.samples[place]
            record = {"label": plan.labels[sample.label], "name": sample.name}
            for ending, stored in (
                (plan.ending, content),
                ("cls", str(sample.label).encode()),
                ("json", json.dumps(record).encode()),
            ):
                member = tarfile.TarInfo(f"{part.key(place)}.{ending}")
                member.size = len(stored)
                tar.addfile(member, io.BytesIO(stored))


def _write_table(plan: Packing, part: Part, path: Path, contents: Iterator[bytes]) -> None:
    """Write a Parquet file with the columns `image`, `label` and `name`, and the features of Hugging Face."""
    import pyarrow
    from pyarrow import parquet

    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(plan.labels), "_type": "ClassLabel"},
        "name": {"dtype": "string", "_type": "Value"},
    }
    schema = pyarrow.schema(
        {
            "image": pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}),
            "label": pyarrow.int64(),
            "name": pyarrow.string(),
        },
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for rows in _groups(_rows(plan, part, contents)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _rows(plan: Packing, part: Part, contents: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for place, content in enumerate(contents):
        sample = part.samples[place]
        image = {"bytes": content, "path": f"{part.key(place)}.{plan.ending}"}
        yield {"image": image, "label": sample.label, "name": sample.name}


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows of about GROUP_BYTES together."""
    held: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row["image"]["bytes"])
        if size >= GROUP_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


WRITE: dict[str, Callable[[Packing, Part, Path, Iterator[bytes]], None]] = {
    "webdataset": _write_tar,
    "parquet": _write_table,
}

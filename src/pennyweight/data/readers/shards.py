"""Shards of a set: the files that hold its samples, and the split of each.

WebDataset or Parquet shards lie on disk or, with the extra `scale`, behind http, on S3, or at `hf:NAME` on the Hugging
Face hub.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.files import expanded
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.offline import keep_hub_offline, require_network
from pennyweight.core.reading import reason_of
from pennyweight.core.walk import is_hidden, is_system
from pennyweight.data.readers.addresses import file_part, normal_address, shown_address
from pennyweight.data.readers.braces import expand_braces
from pennyweight.data.readers.columns import split_prefix
from pennyweight.data.readers.example import NO_PICTURE
from pennyweight.data.readers.layout import SPLIT_NAMES
from pennyweight.data.readers.shard import ENDINGS, Shard

__all__ = ["Shards", "is_address", "is_shard", "open_shards", "refuse_unread", "shards_at", "shards_in"]

HUB = "hf:"
KINDS = ("webdataset", "parquet")
"""The hub's names for these kinds of files."""
READ_ELSEWHERE = (*EXTENSIONS, ".csv", ".tsv", ".jsonl", ".npz", ".parquet")
"""File extensions next to tars that mean another source."""
UNREAD = re.compile(r"\.(tar\.(zst|zstd|lz4|lzma|lzo|lz|z|br|sz|7z)|tzst|tzs)$", re.IGNORECASE)
"""Names of tars that are compressed in a way that is not read here."""
ASKED_AT_ONCE = 16
LOOKED_AT = 64
"""First samples of a tar, one of which must have a class."""


@dataclass(frozen=True)
class Shards:
    """Files of a streamed set."""

    name: str
    address: str
    files: tuple[Shard, ...]
    notes: tuple[str, ...] = ()
    """Lines for the user on parts that were skipped."""

    @cached_property
    def stamps(self) -> list[list[str | None]]:
        """Return [address, split, size and date] of each file. Raises SourceError for a missing file."""
        with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
            stamps = list(pool.map(lambda shard: shard.stamp, self.files))
        return [[shard.url, shard.split, stamp] for shard, stamp in zip(self.files, stamps, strict=True)]


def is_address(text: str) -> bool:
    """Return whether a source's string means shards: `hf:NAME`, a URL, or braces and the extension of shards."""
    braces = "{" in text and (text.lower().endswith((*ENDINGS, "}")) or UNREAD.search(text) is not None)
    return text.startswith(HUB) or "://" in text or braces


def is_shard(path: Path) -> bool:
    """Return whether a tar holds samples: a class lies next to a picture, or may; a tar of class folders holds none."""
    try:
        first = list(islice(Shard(str(path), None).examples(), LOOKED_AT))
    except SourceError:
        return False
    return any(example.label or (example.fault and not example.fault.endswith(NO_PICTURE)) for example in first)


def shards_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the shards in a folder, or in its folders `train`, `val` and `test`, and the names of its other files.

    There are none if the folder holds what another reader may mean: other folders, tables, or pictures.
    """
    shown = [child for child in sorted(folder.iterdir()) if not (is_hidden(child.name) or is_system(child.name))]
    for child in shown:
        refuse_unread(child.name, str(folder))
    folders = [child for child in shown if child.is_dir()]
    tars = [child for child in shown if child.is_file() and child.name.lower().endswith(ENDINGS[:-1])]
    others = [child.name for child in shown if child not in tars and not child.is_dir()]
    if tars and not folders:
        stems = {_stem(child.name) for child in tars}  # a table of that name describes the shard
        meant = [name for name in others if name.lower().endswith(READ_ELSEWHERE) and _stem(name) not in stems]
        return ([], []) if meant else (tars, others)
    if not folders or tars or not all(child.name.lower() in SPLIT_NAMES for child in folders):
        return [], []
    inner = [[each for each in sorted(child.iterdir()) if not is_hidden(each.name)] for child in folders]
    if all(files and all(_is_shard_name(file) for file in files) for files in inner):
        return [file for files in inner for file in files], others
    return [], []


def refuse_unread(name: str, where: str) -> None:
    """Raise SourceError for the name of a tar that is compressed in a way that is not read here."""
    if UNREAD.search(name):
        raise SourceError(
            f"{where} has {name}, compressed in a way that is not read here; decompress it, or pack it again as "
            f"{', '.join(ENDINGS[:-1])}"
        )


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _is_shard_name(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ENDINGS)


def open_shards(source: str) -> Shards:
    """Return the shards of `hf:NAME` or of an address with braces. Raises SourceError for any other string."""
    if source.startswith(HUB):
        return _open_hub_set(source)
    address = normal_address(source) if "://" in source else str(expanded(source).absolute())
    return shards_at(expand_braces(address), address=address)


def shards_at(urls: Sequence[str], *, address: str) -> Shards:
    """Return the shards at these addresses; the start of a file's name, or its folder, names the split."""
    files, shown = [file_part(url) for url in urls], shown_address(address)
    for file in files:
        refuse_unread(file.rpartition("/")[2], shown)
    if not all(file.lower().endswith(ENDINGS) for file in files):
        raise SourceError(f"{shown} is no address of shards; each ends in {' or '.join(ENDINGS)}, or give {HUB}NAME")
    places = [file.split("/")[-2:] for file in files]
    splits = [split_prefix(name) or SPLIT_NAMES.get(folder.lower()) for folder, name in places]
    known = None not in splits
    folders = [part for part in files[0].split("/")[:-1] if part and part.lower() not in SPLIT_NAMES]
    shards = tuple(Shard(url, split if known else None) for url, split in zip(urls, splits, strict=True))
    return Shards(folders[-1], address, shards)


def _open_hub_set(source: str) -> Shards:
    name = source.removeprefix(HUB)
    if not name:
        raise SourceError(f"{source} names no set; a set of the hub is {HUB}NAME or {HUB}OWNER/NAME")
    here = expanded(name).is_dir()
    if not here:
        require_network(source, instead="give a folder of its shards")
    keep_hub_offline()
    import datasets

    try:
        builder = datasets.load_dataset_builder(name)
    except Exception as error:
        raise SourceError(f"cannot open {source}: {reason_of(error)}") from error
    if builder.name not in KINDS:
        raise SourceError(f"{source} holds its pictures as {builder.name}; {' and '.join(KINDS)} can be streamed")
    files = {str(split): urls for split, urls in (builder.config.data_files or {}).items()}
    others = [split for split in files if split not in SPLIT_NAMES]
    if len(others) == len(files):
        others = []  # no part is a split: all parts together are split later
    return Shards(
        name.rstrip("/").rpartition("/")[2],
        HUB + str(expanded(name).absolute()) if here else source,
        tuple(
            Shard(str(url), SPLIT_NAMES.get(split))
            for split, urls in files.items()
            for url in urls
            if split not in others
        ),
        tuple(f"skipped its part '{split}', which is not a split" for split in others),
    )

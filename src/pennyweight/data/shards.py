"""Shards of a set: which files hold its samples, of which split each is, and their samples as they come.

WebDataset or Parquet shards by their addresses (local, http, S3), and `hf:NAME` from the Hugging Face hub (the extra
`scale`).
"""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.core.extras import missing_part
from pennyweight.core.images import EXTENSIONS
from pennyweight.data.columns import COLUMNS, split_of
from pennyweight.data.folder import SPLIT_NAMES
from pennyweight.data.parquet import columns_of, content_of
from pennyweight.data.source import Split

__all__ = ["Example", "Shard", "Shards", "expanded", "is_address", "is_shard", "of_files", "open_shards"]

HUB = "hf:"
ENDINGS = {".tar": "webdataset", ".parquet": "parquet"}
LABELS = ("cls", *COLUMNS["label"])
STAMPS = ("size", "ETag", "mtime", "Last-Modified", "LastModified", "blob_id")
"""What file systems say of a file that another content would change."""
ASKED_AT_ONCE = 16
RETRIES = 4
WAIT_S = 1.0
"""Before the first retry of a server that fails; twice as long before each further one."""
LARGEST_BYTES = 1 << 28
"""Of a file within a shard; it is held in memory."""


class Example(NamedTuple):
    """A sample as a shard holds it: its key, a picture file, its class as it stands."""

    key: str
    picture: bytes
    label: str


class Shard(NamedTuple):
    """A file of samples, and which split it says that they are."""

    url: str
    split: Split | None

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Shards:
    """The files of a set, all of one kind."""

    name: str
    address: str
    kind: str
    """webdataset or parquet, as the hub calls them."""
    files: tuple[Shard, ...]

    @cached_property
    def stamps(self) -> list[list[Any]]:
        """Address, split and what else changes with the content, of each file. Raises SourceError for a missing one."""
        with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
            said = list(pool.map(_stamp, self.files))
        return [[*shard, *stamps] for shard, stamps in zip(self.files, said, strict=True)]

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """The names of numbered classes, where the files say them."""
        if self.kind != "parquet":
            return None
        with _reading(self.files[0]), _opened(self.files[0]) as file:
            names = columns_of(_table(file), self.files[0].url).names
            return None if names is None else tuple(names)

    def examples(self, number: int) -> Iterator[Example]:
        """The samples of a file, in order; a server that fails is asked again for what is left.

        Raises SourceError that names the file, also where it ends too early.
        """
        shard, done, failures = self.files[number], 0, 0
        with _reading(shard):
            while True:
                try:
                    with _opened(shard) as file:
                        rows = _of_tar(file, shard) if self.kind == "webdataset" else _of_parquet(file, shard)
                        for example in islice(rows, done, None):
                            done, failures = done + 1, 0
                            yield example
                    return
                except (PennyweightError, FileNotFoundError, ImportError):
                    raise
                except Exception:
                    failures += 1
                    if "://" not in shard.url or failures > RETRIES:
                        raise
                    time.sleep(WAIT_S * 2 ** (failures - 1))


def is_address(text: str) -> bool:
    """Whether a source's string says shards: `hf:NAME`, an address of the network, or braces before their ending."""
    return text.startswith(HUB) or "://" in text or ("{" in text and text.lower().endswith(tuple(ENDINGS)))


def is_shard(path: Path) -> bool:
    """Whether a tar begins with a sample, a picture and its class; one of class folders begins with a picture alone."""
    try:
        return next(of_files([str(path)], address=str(path)).examples(0), None) is not None
    except SourceError:
        return False


def open_shards(source: str) -> Shards:
    """The shards of `hf:NAME` or of an address with braces. Raises SourceError for what is neither."""
    if source.startswith(HUB):
        return _of_hub(source)
    address = source if "://" in source else str(Path(source).expanduser().absolute())
    return of_files(expanded(address), address=address)


def of_files(urls: Sequence[str], *, address: str) -> Shards:
    """Shards by their addresses; splits are what their names begin with, or what their folders are called."""
    kinds = {next((kind for ending, kind in ENDINGS.items() if url.lower().endswith(ending)), None) for url in urls}
    if None in kinds or len(kinds) > 1:
        raise SourceError(
            f"{address} is no address of shards; all end in {' or in '.join(ENDINGS)}, or it is {HUB}NAME"
        )
    places = [url.split("/")[-2:] for url in urls]
    splits = [split_of(name) or SPLIT_NAMES.get(folder.lower()) for folder, name in places]
    known = None not in splits
    folders = [part for part in urls[0].split("/")[:-1] if part and part.lower() not in SPLIT_NAMES]
    files = tuple(Shard(url, split if known else None) for url, split in zip(urls, splits, strict=True))
    return Shards(folders[-1], address, str(kinds.pop()), files)


def _of_hub(source: str) -> Shards:
    import datasets

    name = source.removeprefix(HUB)
    if not name:
        raise SourceError(f"{source} names no set; the hub's are called {HUB}NAME or {HUB}OWNER/NAME")
    try:
        builder = datasets.load_dataset_builder(name)
    except Exception as error:
        raise SourceError(f"cannot open {source}: {_reason(error)}") from error
    files = {SPLIT_NAMES.get(str(split)): urls for split, urls in (builder.config.data_files or {}).items()}
    if builder.name not in ENDINGS.values():
        raise SourceError(
            f"{source} holds its pictures as {builder.name}; {' and '.join(ENDINGS.values())} can be streamed"
        )
    known = {split: urls for split, urls in files.items() if split is not None} or files
    here = Path(name).expanduser().is_dir()
    return Shards(
        name.rstrip("/").rpartition("/")[2],
        HUB + str(Path(name).expanduser().absolute()) if here else source,
        builder.name,
        tuple(Shard(str(url), split) for split, urls in known.items() for url in urls),
    )


def expanded(address: str) -> list[str]:
    """What braces stand for: `{train-{00..02},val-0}.tar` are four. Raises SourceError for one without its other."""
    start = address.find("{")
    if start < 0 and "}" not in address:
        return [address]
    parts, depth, place = [""], 0, start
    for place, letter in enumerate(address[start:], start):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            break
        if letter == "," and depth == 1:
            parts.append("")
        elif place > start:
            parts[-1] += letter
    if depth or "}" in address[: max(start, 0)] or start < 0:
        raise SourceError(f"{address} has a brace without its other")
    span = re.fullmatch(r"(\d+)\.\.(\d+)", parts[0]) if len(parts) == 1 else None
    if span:
        low, high = span.groups()
        parts = [f"{number:0{len(low)}d}" for number in range(int(low), int(high) + 1)]
    rests = expanded(address[place + 1 :])
    return [address[:start] + inner + rest for part in parts for inner in expanded(part) for rest in rests]


def _of_tar(file: IO[bytes], shard: Shard) -> Iterator[Example]:
    """Files that stand together and are called alike up to their first dot are a sample."""
    parts: dict[str, bytes] = {}
    key = ""
    with tarfile.open(fileobj=file, mode="r|") as tape:
        for member in tape:
            stem, _, ending = member.name.rpartition("/")[2].partition(".")
            if not member.isfile() or not stem:
                continue
            if member.size > LARGEST_BYTES:
                raise SourceError(f"{member.name} of {shard.url} has {member.size:,} bytes; a picture has fewer")
            found = member.name[: len(member.name) - len(ending) - 1]
            if parts and found != key:
                yield _example(key, parts, shard)
                parts = {}
            key, content = found, tape.extractfile(member)
            assert content is not None
            parts[ending.lower()] = content.read()
    if parts:
        yield _example(key, parts, shard)


def _example(key: str, parts: Mapping[str, bytes], shard: Shard) -> Example:
    picture = next(
        (content for ending, content in parts.items() if f".{ending.rpartition('.')[2]}" in EXTENSIONS), None
    )
    said: dict[str, Any] = {ending: content.decode("utf-8", "replace") for ending, content in parts.items()}
    if "json" in parts and isinstance(values := json.loads(parts["json"]), dict):
        said |= values
    label = next((said[name] for name in LABELS if said.get(name) is not None), None)
    if picture is None or label is None:
        raise SourceError(
            f"sample {key} of {shard.url} has {', '.join(parts)}; it needs a picture and one of {', '.join(LABELS)}"
        )
    return Example(key, picture, str(label).strip())


def _of_parquet(file: IO[bytes], shard: Shard) -> Iterator[Example]:
    table = _table(file)
    columns = columns_of(table, shard.url)
    place = 0
    for rows in table.iter_batches(batch_size=64, columns=[columns.picture, columns.label]):
        for row in rows.to_pylist():
            yield Example(
                f"{shard.name}:{place:06d}", content_of(row[columns.picture]), str(row[columns.label]).strip()
            )
            place += 1


def _table(file: IO[bytes]) -> Any:
    import pyarrow.parquet as parquet_files

    return parquet_files.ParquetFile(file)


def _opened(shard: Shard) -> IO[bytes]:
    """The file, to be read from its start; a tar of http in one go, because a server need not know ranges."""
    import fsspec

    files, path = fsspec.url_to_fs(shard.url)
    once = {"block_size": 0} if shard.url.startswith("http") and shard.url.lower().endswith(".tar") else {}
    opened: IO[bytes] = files.open(path, "rb", **once)
    return opened


def _stamp(shard: Shard) -> list[str]:
    import fsspec

    with _reading(shard):
        files, path = fsspec.url_to_fs(shard.url)
        said = files.info(path)
        return [f"{key} {said[key]}" for key in STAMPS if said.get(key) is not None]


@contextmanager
def _reading(shard: Shard) -> Iterator[None]:
    """Whatever goes wrong inside becomes a SourceError that names the file: network, archive and table alike."""
    try:
        yield
    except PennyweightError:
        raise
    except ImportError as error:
        # fsspec has its own words for a protocol's module that is not there.
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing_part(missing):
            raise missing from None
        raise SourceError(f"cannot read {shard.url}: {_reason(error)}") from error
    except FileNotFoundError as error:
        # A server that cannot be asked is one for fsspec, too.
        reason = _reason(error.__cause__) if isinstance(error.__cause__, OSError) else "there is no such file"
        raise SourceError(f"cannot read {shard.url}: {reason}") from error
    except Exception as error:
        raise SourceError(f"cannot read {shard.url}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

"""Shards of a set: which files hold its samples, of which split each is, and their samples as they come.

`hf:NAME` from the Hugging Face hub, and WebDataset or Parquet shards by their addresses (local, http, S3), all read by
the `datasets` library (the extra `scale`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.data.columns import COLUMNS, split_of
from pennyweight.data.folder import SPLIT_NAMES
from pennyweight.data.source import Split

__all__ = ["Example", "Shard", "Shards", "expanded", "is_address", "of_files", "open_shards"]

HUB = "hf:"
ENDINGS = {".tar": "webdataset", ".parquet": "parquet"}
LABELS = ("cls", *COLUMNS["label"])
STAMPS = ("size", "ETag", "mtime", "Last-Modified", "LastModified", "blob_id")
"""What file systems say of a file that another content would change."""
ASKED_AT_ONCE = 16


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
    """What `datasets` calls it: webdataset or parquet."""
    files: tuple[Shard, ...]

    @cached_property
    def stamps(self) -> list[list[Any]]:
        """Address, split and what else changes with the content, of each file. Raises SourceError for a missing one."""
        with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
            said = list(pool.map(_stamp, self.files))
        return [[*shard, *stamps] for shard, stamps in zip(self.files, said, strict=True)]

    @cached_property
    def features(self) -> Any:
        """The columns and their types, from the first file: looked up once, not for every file."""
        with _reading(self.files[0]):
            return self._open(self.files[0], None).features

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of numbered classes, where the files say them."""
        found = next((self.features[key] for key in LABELS if key in self.features), None)
        names = getattr(found, "names", None)
        return None if names is None else tuple(map(str, names))

    def examples(self, number: int) -> Iterator[Example]:
        """The samples of a file, in order. Raises SourceError that names the file, also where it ends too early."""
        shard = self.files[number]
        with _reading(shard):
            # Decoding is ours: the same bytes as everywhere.
            for place, row in enumerate(self._open(shard, self.features).decode(False)):
                yield self._example(shard, place, row)

    def _example(self, shard: Shard, place: int, row: dict[str, Any]) -> Example:
        picture = next(
            (value["bytes"] for value in row.values() if isinstance(value, dict) and value.get("bytes")), None
        )
        said = {**row, **row["json"]} if isinstance(row.get("json"), dict) else row
        label = next((said[key] for key in LABELS if said.get(key) is not None), None)
        key = row.get("__key__") or f"{shard.name}:{place:06d}"
        if picture is None or label is None:
            known = ", ".join(name for name, value in said.items() if value is not None)
            raise SourceError(
                f"sample {key} of {shard.url} has {known}; it needs a picture and one of {', '.join(LABELS)}"
            )
        return Example(str(key), picture, (label.decode() if isinstance(label, bytes) else str(label)).strip())

    def _open(self, shard: Shard, features: Any) -> Any:
        import datasets

        return datasets.load_dataset(
            self.kind, data_files={"train": [shard.url]}, split="train", streaming=True, features=features
        )


def is_address(text: str) -> bool:
    """Whether a source's string says shards: `hf:NAME`, an address of the network, or braces before their ending."""
    return text.startswith(HUB) or "://" in text or ("{" in text and text.lower().endswith(tuple(ENDINGS)))


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
    parts, depth = [""], 0
    for place, letter in enumerate(address[max(start, 0) :], max(start, 0)):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth <= 0:
            break
        if letter == "," and depth == 1:
            parts.append("")
        elif place > start:
            parts[-1] += letter
    if depth != 0 or start < 0:
        raise SourceError(f"{address} has a brace without its other")
    span = re.fullmatch(r"(\d+)\.\.(\d+)", parts[0]) if len(parts) == 1 else None
    if span:
        low, high = span.groups()
        parts = [f"{number:0{len(low)}d}" for number in range(int(low), int(high) + 1)]
    rests = expanded(address[place + 1 :])
    return [address[:start] + inner + rest for part in parts for inner in expanded(part) for rest in rests]


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
    except (PennyweightError, ModuleNotFoundError):
        raise
    except FileNotFoundError as error:
        raise SourceError(f"cannot read {shard.url}: there is no such file") from error
    except Exception as error:
        raise SourceError(f"cannot read {shard.url}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

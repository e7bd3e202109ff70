"""Samples of a tar: adjacent files whose names differ in their endings are one sample.

A name ends at its first period, as in WebDataset. Where that would merge samples, as of `IMG v2.0.0001.jpg` and
`IMG v2.0.0002.jpg`, it ends at the last one. Pictures alone are samples of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.walk import is_hidden, is_system
from pennyweight.data.readers import tar_stream
from pennyweight.data.readers.example import Example, Part, is_class_field, is_picture, lack_of, make_example

__all__ = ["ARCHIVES", "read_tar"]

LARGEST_BYTES = 1 << 28
"""Largest sample within a shard; it is held in memory."""
MOST_PICTURES = 4
"""Pictures with one name up to the first period at which the period that ends the name is decided."""
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


class File(NamedTuple):
    """File of a tar: name, content and place."""

    name: str
    part: Part

    @property
    def key(self) -> str:
        """Return the name up to the first period of its last part."""
        folder, slash, last = self.name.rpartition("/")
        return f"{folder}{slash}{last.partition('.')[0]}"

    @property
    def stem(self) -> str:
        """Return the name up to its last period."""
        return self.name.rpartition(".")[0]


def read_tar(file: IO[bytes], url: str) -> Iterator[Example]:
    """Yield the samples of a tar, compressed or not, in stored order.

    Args:
        file: The open file, which need not seek.
        url: Its address, for messages.

    Raises:
        SourceError: A file is too large, or the files of a sample lie apart.
    """
    pictures, classes = set[int](), set[int]()  # hashes of the keys of samples with one of both
    for example in _examples(_files(file, url)):
        half = pictures if example.picture else classes
        if not (example.picture and example.label):
            half.add(hash(example.key))
            if hash(example.key) in pictures and hash(example.key) in classes:
                raise SourceError(
                    f"picture and class of {example.key} lie apart in {url}; sort its files by name: tar --sort=name"
                )
        yield example


def _files(file: IO[bytes], url: str) -> Iterator[File]:
    """Yield the files that can belong to samples; those of a system, and hidden ones, are skipped."""
    with tar_stream.open_stream(file) as tar:
        compressed = tar_stream.is_compressed(tar)
        for member in tar_stream.entries(tar):
            name = member.name.removeprefix("./").lstrip("/")
            link = member.linkname if member.islnk() or member.issym() else ""
            if not (member.isfile() or link) or any(is_hidden(part) or is_system(part) for part in name.split("/")):
                continue
            if name.lower().endswith(ARCHIVES):
                raise SourceError(f"{url} holds archives, such as {name}; unpack it: its archives are the shards")
            if not (is_picture(name) or is_class_field(name) or "." in name.rpartition("/")[2]):
                continue
            if member.type == tar_stream.HOLES or member.size > LARGEST_BYTES:
                if member.type == tar_stream.HOLES:
                    raise SourceError(f"{name} of {url} is stored with holes; pack it without the option --sparse")
                size = f"{member.size:,} bytes; a sample has {LARGEST_BYTES:,} at most"
                raise SourceError(f"{name} of {url} has {size}")
            if link:
                yield File(name, Part(b"", -1, link))
                continue
            content = tar.extractfile(member)
            assert content is not None
            yield File(name, Part(content.read(), -1 if compressed else member.offset_data))


def _examples(files: Iterator[File]) -> Iterator[Example]:
    """Yield a sample for each run of files with one key."""
    held: list[File] = []
    pictures = size = 0
    by_stem = False
    for file in files:
        if held and file.key != held[0].key:
            yield from _samples(held, by_stem=by_stem)
            held, pictures, size, by_stem = [], 0, 0, False
        held.append(file)
        pictures += is_picture(file.name)
        size += len(file.part.content)
        if is_picture(file.name) and pictures == MOST_PICTURES:
            by_stem = _is_merged(held)
        if by_stem and held[0].stem != file.stem:
            yield from _samples([each for each in held if each.stem != file.stem], by_stem=True)
            held = [each for each in held if each.stem == file.stem]
            size = sum(len(each.part.content) for each in held)
        if size > LARGEST_BYTES:
            raise SourceError(
                f"the {len(held)} files of {held[0].key} have {size:,} bytes; a sample has {LARGEST_BYTES:,} at most"
            )
    yield from _samples(held, by_stem=by_stem)


def _samples(files: list[File], *, by_stem: bool) -> Iterator[Example]:
    """Yield the samples of files with one key: one, or one for each stem."""
    if not (by_stem or _is_merged(files)):
        if files:
            yield _sample(files[0].key, files)
        return
    stems: dict[str, list[File]] = {}
    for file in files:
        stems.setdefault(file.stem, []).append(file)
    for stem, group in stems.items():
        yield _sample(stem, group)


def _is_merged(files: list[File]) -> bool:
    """Return whether the key merges several samples: each stem is longer and has a picture, or one is complete."""
    if sum(is_picture(file.name) for file in files) < 2 or any(file.stem == file.key for file in files):
        return False
    pictured = {file.stem for file in files if is_picture(file.name)}
    classed = {file.stem for file in files if is_class_field(file.name)}
    return len(pictured) > 1 and (not classed or bool(pictured & classed))


def _sample(key: str, files: list[File]) -> Example:
    if len(files) == 1 and is_picture(files[0].name):
        name = files[0].name
        return Example(name.rpartition(".")[0], files[0].part.content, "", files[0].part.place, _fault(files[0]))
    parts: dict[str, Part] = {}
    twice: list[str] = []
    for file in files:
        field = file.name[len(key) + 1 :].lower()
        twice += [field] * (field in parts)
        parts[field] = file.part
    return make_example(key, parts, twice)


def _fault(file: File) -> str:
    return "" if file.part.content else f"{file.stem} {lack_of(file.part)}"

"""Find the pictures of the paths given to `predict`: files, folders, archives, tables, addresses, or a list."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from pennyweight.core.errors import ImageError, InputError, PennyweightError
from pennyweight.core.files import as_stored, as_text
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.picture_content import path_of, picture_content
from pennyweight.core.reasons import few
from pennyweight.core.travel import Stamp
from pennyweight.core.walk import Walk, is_hidden, is_system
from pennyweight.data import ReadAs
from pennyweight.data.readers.addresses import shown_address
from pennyweight.data.readers.suffixes import ARCHIVES, TABLES
from pennyweight.runtime import Failure, NamedPicture
from pennyweight.verbs.addresses import MAX_PICTURE_BYTES, at_address, is_address, listed_at

__all__ = ["LIST", "count_pictures", "pictures_given", "require_table", "with_content"]

LIST = "-"
"""Path that stands for a list of paths on standard input."""
CHUNK_BYTES = 1 << 16
MAX_PATH_BYTES = 1 << 12
"""Most bytes of a path; a longer line of a list is no path on any system."""

Note = Callable[[str], None]


def pictures_given(
    paths: Iterable[str],
    note: Note = lambda line: None,
    *,
    listed: BinaryIO | None = None,
    read_as: ReadAs | Mapping[str, Any] | None = None,
) -> Iterator[NamedPicture | Failure]:
    """Yield the pictures at `paths`, lazily and in order, each with its name; or the reason that there is none.

    Args:
        paths: Picture files; folders, walked as `fit` walks them; archives (.zip, .tar, …), read without unpacking;
            tables (.csv, .tsv, .parquet) with a column of paths; addresses of pictures and of streamed shards; or "-"
            for a list on standard input, a path a line or separated by zero bytes.
        note: Callback that is given a line on skipped files.
        listed: Stream of the list, in place of standard input.
        read_as: Columns, folder and ending of the tables, as `fit` takes them; `fetch` for addresses in tables and
            lists.

    Raises:
        InputError: "-" was named twice, or `read_as` was given without a table.
    """
    paths = list(paths)
    require_table(paths, read_as)
    return _pictures(paths, note, listed, ReadAs.of(read_as))


def require_table(paths: Sequence[str], read_as: ReadAs | Mapping[str, Any] | None) -> None:
    """Raise InputError for `read_as` without a table among `paths`, and for two lists on standard input."""
    how = ReadAs.of(read_as)
    if how and not any(path == LIST or is_table(path) for path in paths):
        named, listed = " and ".join(how.to_dict()), few([shown_address(str(path)) for path in paths])
        raise InputError(f"{named} belong{'s' * (len(how.to_dict()) == 1)} to a table, and {listed} has none")
    if paths.count(LIST) > 1:
        raise InputError("- was named twice, and standard input holds one list")


def is_table(path: str) -> bool:
    """Return whether a path has the file extension of a table, and is no address."""
    return path.lower().endswith(TABLES) and not is_address(path)


def count_pictures(paths: Iterable[str]) -> int | None:
    """Count the pictures at `paths` without opening a picture; None if the count needs reading."""
    total = 0
    for path in paths:
        if path == LIST or path.lower().endswith((*ARCHIVES, *TABLES)) or is_address(path):
            return None
        total += sum(1 for _ in Walk(Path(path)).pictures()) if os.path.isdir(path) else 1  # noqa: PTH112
    return total


def _pictures(
    paths: Iterable[str], note: Note, listed: BinaryIO | None, how: ReadAs
) -> Iterator[NamedPicture | Failure]:
    for path in paths:
        if path == LIST:
            empty = True
            for line in _lines(sys.stdin.buffer if listed is None else listed):
                empty = False
                if is_address(line):
                    yield _of_list(line, "the list on standard input", how)
                else:
                    yield from _pictures_of(line, note, how)
            if empty:
                yield Failure(source=LIST, error="the list on standard input is empty; give a path on each line")
        else:
            yield from _pictures_of(path, note, how)


def _pictures_of(path: str, note: Note, how: ReadAs) -> Iterator[NamedPicture | Failure]:
    name = as_text(path)
    if not path or "\0" in path or len(os.fsencode(path)) > MAX_PATH_BYTES:
        shown = name if len(name) <= 100 else f"{name[:97]}…"
        yield Failure(source=shown, error=f"'{shown}' is no path of a picture")
        return
    if is_address(path):
        yield from listed_at(path, note)
        return
    try:
        place = as_stored(Path(path_of(path, path)))
    except ImageError as error:
        yield Failure(source=name, error=str(error))
        return
    path = str(place)
    if os.path.isdir(path):  # noqa: PTH112 - False also where a path is too long to be asked for
        yield from _of_folder(place, note)
    elif path.lower().endswith(ARCHIVES) and os.path.isfile(path):  # noqa: PTH113
        yield from _whole(name, _of_archive(place, note))
    elif path.lower().endswith(TABLES) and os.path.isfile(path):  # noqa: PTH113
        yield from _whole(name, _of_table(place, how))
    else:
        yield NamedPicture(name, place)


def _whole(name: str, found: Iterator[NamedPicture | Failure]) -> Iterator[NamedPicture | Failure]:
    """Yield what is found; an archive or a table that is damaged, or has no picture, is a failure of its own."""
    any_found = False
    try:
        for each in found:
            any_found = True
            yield each
    except (PennyweightError, OSError) as error:
        any_found = True
        yield Failure(source=name, error=f"cannot read {name}: {str(error).removeprefix(f'cannot read {name}: ')}")
    if not any_found:
        yield Failure(source=name, error=f"{name} has no pictures")


def _of_folder(folder: Path, note: Note) -> Iterator[NamedPicture | Failure]:
    walk, found = Walk(folder), False
    for file in walk.pictures():
        found = True
        yield NamedPicture(as_text(file), file)
    for lost in walk.lost:
        name = as_text(lost.path)
        yield Failure(source=name, error=f"cannot read {name}: {lost.reason}")
    for line in walk.notes():
        note(line)
    if not found and not walk.lost:
        name = as_text(folder)
        yield Failure(
            source=name, error=f"{name} has no pictures; give picture files, or a folder or archive that has some"
        )


def _of_archive(archive: Path, note: Note) -> Iterator[NamedPicture | Failure]:
    from pennyweight.data.readers import archive_members

    others: Counter[str] = Counter()
    hidden, name, stamp = 0, as_text(archive), Stamp.of(archive).text
    for member in archive_members.members(archive):
        inner = member.name.replace("\\", "/").strip("/").removeprefix("./")
        parts = inner.split("/")
        if member.kind == "folder":
            continue
        if any(is_system(part) or is_hidden(part) for part in parts if part not in (".", "..")):
            hidden += 1
            continue
        if Path(parts[-1]).suffix.lower() not in EXTENSIONS:
            others[Path(parts[-1]).suffix.lower() or "without any"] += 1
            continue
        source = f"{name}/{inner}"
        if member.content is None:
            yield Failure(source=source, error=f"cannot read {source}: {member.kind} is not read out of an archive")
            continue
        yield NamedPicture(source, Bounded(member.content), stamp)
    if hidden:
        note(f"skipped {hidden:,} file{'s' * (hidden > 1)} of {name}, hidden or of a system folder")
    if others:
        named = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        note(f"skipped {others.total():,} files of {name} without the extension of a picture ({named})")


def with_content(named: NamedPicture | Failure) -> NamedPicture | Failure:
    """Return a picture of an archive with its bytes, which stay when the next one is listed; others unchanged."""
    if isinstance(named, Failure) or not isinstance(named.picture, Bounded):
        return named
    try:
        return named._replace(picture=picture_content(named.picture, named.source))
    except ImageError as error:
        return Failure(source=named.source, error=str(error))


class Bounded(NamedTuple):
    """Open file of a picture in an archive, to be read before the next picture is listed, or not at all."""

    file: IO[bytes]

    def read(self) -> bytes:
        """Return the content. Raises ValueError for more than MAX_PICTURE_BYTES."""
        content = self.file.read(MAX_PICTURE_BYTES + 1)
        if len(content) > MAX_PICTURE_BYTES:
            raise ValueError(f"it has more than {MAX_PICTURE_BYTES:,} bytes")
        return content


def _of_table(table: Path, how: ReadAs) -> Iterator[NamedPicture | Failure]:
    from pennyweight.data.readers import manifest

    stamp = Stamp.of(table).text
    for row, picture in enumerate(manifest.pictures_of(table, how), 1):
        if isinstance(picture, Path):
            yield NamedPicture(as_text(picture), picture)
        elif isinstance(picture, str):
            yield _of_list(picture, as_text(table), how)
        elif picture is None:
            yield Failure(source=f"{as_text(table)}:{row}", error=f"row {row} of {as_text(table)} names no picture")
        else:
            yield NamedPicture(f"{as_text(table)}:{row}", picture, stamp)


def _of_list(address: str, by: str, how: ReadAs) -> NamedPicture | Failure:
    """Return the picture at an address that a table or a list names, which may be a stranger's."""
    if how.fetch:
        return at_address(address)
    name = shown_address(address)
    return Failure(source=name, error=f"{name} is an address, and only {by} names it; --fetch downloads such pictures")


def _lines(listed: BinaryIO) -> Iterator[str]:
    """Yield the paths of a list, a line each, or separated by zero bytes where there are any. Skip empty ones."""
    rest, separator, first = b"", b"\n", True
    read = getattr(listed, "read1", listed.read)  # returns the bytes that have arrived, without waiting for more
    while chunk := read(CHUNK_BYTES):
        if first:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
            separator = b"\0" if b"\0" in chunk else b"\n"
            first = False
        *lines, rest = (rest + chunk).split(separator)
        yield from filter(None, (_path(line, separator) for line in lines))
        if len(rest) > MAX_PATH_BYTES:
            yield _path(rest, separator)
            rest = b""
    if rest:
        yield from filter(None, (_path(rest, separator),))


def _path(line: bytes, separator: bytes) -> str:
    return os.fsdecode(line if separator == b"\0" else line.rstrip(b"\r"))

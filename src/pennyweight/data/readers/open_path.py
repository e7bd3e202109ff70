"""Open a path as a source of pictures: a folder, archive, table, arrays or shards, by contents and file extension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.core.files import as_text, require_file
from pennyweight.core.images import EXTENSIONS
from pennyweight.core.reasons import such_as
from pennyweight.core.walk import Walk, is_hidden, is_system
from pennyweight.data.groups import FOLDER
from pennyweight.data.readers import archives, manifest, parquet
from pennyweight.data.readers.folder import read_folder
from pennyweight.data.readers.layout import find_split
from pennyweight.data.readers.named_labels import read_named_labels
from pennyweight.data.readers.npz import read_npz
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.shard import ENDINGS
from pennyweight.data.readers.shard_index import Index
from pennyweight.data.readers.shards import is_shard, refuse_unread, shards_at, shards_in
from pennyweight.data.readers.side_tables import Table, find_tables, reason_against
from pennyweight.data.readers.suffixes import ARCHIVES, TABLES
from pennyweight.data.source import Source

__all__ = ["Request", "open_path", "source_name", "visible_children"]


class Request(NamedTuple):
    """Name and address of a source, and the options for reading it."""

    name: str
    address: str
    group_by: str | None
    read_as: ReadAs
    inside: bool = False
    """True for a path inside an archive."""

    @property
    def named(self) -> dict[str, str]:
        """Return `name` and `address` as keyword arguments of a reader."""
        return {"name": self.name, "address": self.address}


def open_path(path: Path, request: Request) -> Source:
    """Open a folder or a file as the kind of source that its contents or its extension show. Raises SourceError."""
    if path.is_dir():
        return _open_folder(path, request)
    try:
        require_file(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    lower = path.name.lower()
    if lower.endswith(ENDINGS[:-1]) and is_shard(path):
        return _stream([path], request)
    if lower.endswith(ARCHIVES):
        return _open_archive(path, request)
    if lower.endswith(".npz"):
        return read_npz(path, **request.named)
    if lower.endswith(".parquet") and ("picture" in request.read_as.columns or parquet.has_pictures(path)):
        return parquet.read_parquet([path], **request.named, group_by=request.group_by, read_as=request.read_as)
    if lower.endswith(TABLES):
        return _open_manifest([Table(path)], path.parent, request)
    refuse_unread(path.name, str(path.parent))
    kinds = ", ".join((*TABLES, ".npz", *ARCHIVES))
    raise SourceError(
        f"{path} is a file; a source is a folder with a folder for each class, a file with the extension {kinds}, or a "
        "named set"
    )


def _stream(files: Sequence[Path], request: Request, others: Sequence[str] = ()) -> Source:
    """Open shards; `others` are the files next to them, which a note names."""
    shards = shards_at([str(file.resolve()) for file in files], address=request.address)
    opened = replace(Index.load(shards, trust=request.read_as.trust).source(), name=request.name)
    if not others:
        return opened
    skipped = f"skipped {several(len(others), 'other file')} next to the shards, such as {such_as(others)}"
    return replace(opened, notes=(skipped, *opened.notes))


def _open_archive(path: Path, request: Request) -> Source:
    """Unpack an archive into the cache and open it. Errors name the archive and the members that were refused."""
    made = archives.unpack_to_cache(path)
    refused = tuple(f"refused of {path.name}: {line}" for line in made.refused)
    listed = () if made.listed is None else (f"{made.listed} lists all that is refused of {path.name}",)
    if refused and not any(made.folder.iterdir()):
        raise SourceError(f"nothing of {path} could be unpacked: {'; '.join(made.refused)}")
    try:
        inner, passed = _enter_only_child(made.folder)
        opened = open_path(inner, request._replace(inside=True))
    except SourceError as error:
        if path.name.lower().endswith(ENDINGS[:-1]) and _may_hold_samples(made.folder):
            return _stream([path], request)  # its error names the fault of its samples
        raise SourceError("; ".join((str(error).replace(str(made.folder), str(path)), *refused))) from error
    return replace(opened, name=request.name, notes=(*made.notes, *refused, *listed, *passed, *opened.notes))


def _may_hold_samples(unpacked: Path) -> bool:
    """Return whether an unpacked tar has no folders, but a picture, or an archive that may be a shard."""
    inside = visible_children(unpacked)
    return all(child.is_file() for child in inside) and any(
        child.name.lower().endswith((*ENDINGS[:-1], *EXTENSIONS)) for child in inside
    )


def _open_folder(path: Path, request: Request) -> Source:
    """Open a folder of class folders, of Parquet files, of shards, or with a manifest next to its pictures."""
    files = [child for child in visible_children(path) if child.is_file()]
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    if tables and ("picture" in request.read_as.columns or all(parquet.has_pictures(file) for file in tables)):
        return parquet.read_parquet(tables, **request.named, group_by=request.group_by, read_as=request.read_as)
    shards, others = ([], []) if request.inside else shards_in(path)
    if shards:
        return _stream(shards, request, others)
    if request.read_as.label_from is not None and not request.read_as.of_table:
        return read_named_labels(path, request.read_as, **request.named)
    arrays = [file for file in files if file.suffix.lower() == ".npz"]
    if len(arrays) == 1 and len(files) == 1 and not any(child.is_dir() for child in visible_children(path)):
        return read_npz(arrays[0], **request.named)
    inner, passed = _enter_wrappers(path)
    if inner != path:
        note = f"entered {as_text(inner.relative_to(path))}: it is all that {as_text(path)} holds"
        opened = _open_folder(inner, request)
        return replace(opened, notes=(note, *passed, *opened.notes))
    return _open_listed(path, request)


def _open_listed(path: Path, request: Request) -> Source:
    """Open the pictures that a folder's table, or the tables of its split folders, list; else its class folders.

    A table whose pictures do not exist is skipped, with a note, if there are class folders. Without class folders the
    only table of a folder is read under any name.
    """
    lone = request.inside or bool(request.read_as.of_table)
    candidates = find_tables(path, lone=lone)
    if request.read_as.of_table:
        if not candidates:
            options = " and ".join(request.read_as.of_table)
            raise SourceError(f"{path} has no table, or several, and {options} belong to one; name the table's file")
        return _open_manifest(candidates, path, request)
    why = {table.path: reason_against(table, path, request.read_as) for table in candidates}
    real = [table for table in candidates if why[table.path] is None]
    if sum(table.split is None for table in real) > 1:
        named = " and ".join(table.path.name for table in real)
        raise SourceError(f"{path} has {named}, which all list its pictures; name the file of one")
    if real:
        return _open_manifest(real, path, request)
    try:
        opened = read_folder(path, address=request.address, grouped=request.group_by == FOLDER)
        if opened.refusals and candidates:
            raise SourceError(opened.refusals[0])
    except SourceError as error:
        if candidates:
            return _open_manifest(candidates[:1], path, request)  # its error names the fault and what would work
        if meant := find_tables(path, lone=True):
            try:
                return _open_manifest(meant, path, request)
            except SourceError as other:
                raise SourceError(f"{error}; its table gives no classes either: {other}") from other
        raise
    notes = tuple(f"skipped a table: {reason}" for reason in why.values())
    return replace(opened, name=request.name, notes=(*notes, *opened.notes))


def _open_manifest(tables: Sequence[Table], root: Path, request: Request) -> Source:
    return manifest.read_manifest(
        tables, root, **request.named, group_by=request.group_by, inside=request.inside, read_as=request.read_as
    )


def _enter_wrappers(path: Path) -> tuple[Path, list[str]]:
    """Enter folders that hold one folder and nothing else to read, down to a folder of folders or of a table.

    Return that folder, and notes on the files that were skipped on the way.
    """
    at, passed = path, list[str]()
    while True:
        walk = Walk(at)
        folders, pictures = walk.listing(at)
        if (
            len(folders) != 1
            or pictures
            or find_split(folders[0].name) is not None
            or any(map(_is_read, visible_children(at)))
        ):
            break
        if not any(child.is_dir() or _is_read(child) for child in visible_children(folders[0])):
            break
        at = folders[0]
        passed += walk.notes()
    return at, passed


def _is_read(path: Path) -> bool:
    """Return whether a path is a file of many pictures or of their labels."""
    return path.name.lower().endswith((*TABLES, ".npz", ".tar")) and path.is_file()


def _enter_only_child(path: Path) -> tuple[Path, list[str]]:
    """Enter folders that hold nothing but one folder or file, as archives of a folder do.

    Return the innermost path, and notes on the system folders that were skipped on the way.
    """
    children, passed = visible_children(path), list[str]()
    while len(children) == 1 and (children[0].is_file() or len(visible_children(children[0])) > 0):
        walk = Walk(path)
        walk.listing(path)
        path = children[0]
        if path.is_dir():
            passed += walk.notes()
        children = visible_children(path) if path.is_dir() else []
    return path, passed


def source_name(path: Path) -> str:
    """Return a source's name: that of its folder, or of its file without the extension."""
    lower = path.name.lower()
    endings = sorted((*ARCHIVES, *TABLES, ".npz"), key=len, reverse=True)
    ending = next((e for e in endings if lower.endswith(e)), "") if not path.is_dir() else ""
    return path.name[: len(path.name) - len(ending)]


def visible_children(path: Path) -> list[Path]:
    """List the children of a folder without hidden files and those of the system; empty for a file."""
    if not path.is_dir():
        return []
    return sorted(child for child in path.iterdir() if not is_hidden(child.name) and not is_system(child.name))

"""From a string to a source: a path, a folder's name under $PENNYWEIGHT_DATA, a named set, or shards to be streamed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError, SourceError, nearest, received
from pennyweight.core.files import as_stored, as_text, require_file
from pennyweight.core.walk import Walk, is_hidden, is_system
from pennyweight.data.groups import FOLDER, grouped
from pennyweight.data.readers import archives, manifest, parquet
from pennyweight.data.readers.folder import folder
from pennyweight.data.readers.layout import CLASSES, split_named
from pennyweight.data.readers.named import SETS, named_set
from pennyweight.data.readers.named_labels import named_labels
from pennyweight.data.readers.npz import npz
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.shard_index import Index
from pennyweight.data.readers.shards import is_address, is_shard, of_files, open_shards
from pennyweight.data.readers.side_tables import Table, find_tables, why_not
from pennyweight.data.source import Source

__all__ = ["open"]


class _Asked(NamedTuple):
    """Name of a source, and how it is read."""

    name: str
    address: str
    group_by: str | None
    read_as: ReadAs
    inside: bool = False
    """Whether it came in an archive."""

    @property
    def named(self) -> dict[str, str]:
        return {"name": self.name, "address": self.address}


def open(
    source: str | os.PathLike[str] | Source,
    *,
    group_by: str | None = None,
    read_as: ReadAs | Mapping[str, Any] | None = None,
    least_classes: int = 2,
    strict: bool = True,
) -> Source:
    """Open a source of pictures by one string; a Source is one. Raises SourceError with the nearest name of none.

    It is refused where training cannot use it as it is; without `strict` what can be read of it is given, and the
    reasons stand in its `refusals`.

    `group_by` keeps pictures together when they are split: a column of a manifest, "folder", or a regular expression
    whose first group is searched in each picture's name, such as "(patient[0-9]+)". `read_as` (a ReadAs or its fields)
    says what the files of the source do not: columns, pictures, ending, label_from. Raises SourceError too for fewer
    than `least_classes`: training needs two, scoring one.
    """
    how = ReadAs.of(read_as)
    if isinstance(source, Source):
        if group_by is not None or how:
            raise InputError(
                "group_by and read_as belong to a path or a name; a Source is grouped and read already, or is not"
            )
        return _required(source, least_classes) if strict else source
    if not isinstance(source, (str, os.PathLike)):
        raise SourceError(f"a source is a path or a name, such as digits, not {received(source)}")
    opened = _open(os.fspath(source), group_by, how)
    if strict:
        _required(opened, least_classes)
    if how and not opened.read_as:
        said = " and ".join(how.to_dict())
        raise InputError(
            f"{said} belong{'s' * (len(how.to_dict()) == 1)} to a table or a folder, which {source} is not"
        )
    return opened if group_by is None else grouped(opened, group_by)


def _required(source: Source, least_classes: int) -> Source:
    """Return the source itself. Raises SourceError where it was refused when it was read, or has too few classes."""
    if source.refusals:
        more = len(source.refusals) - 1
        others = f"; and {more} more: `pennyweight doctor` lists all that is to be mended" if more else ""
        raise SourceError(source.refusals[0] + others)
    source.require_classes(least_classes)
    return source


def _open(text: str, group_by: str | None, read_as: ReadAs) -> Source:
    if not text:
        raise SourceError("no source was named; give a folder with a folder for each class, or a named set")
    path = as_stored(Path(text).expanduser())
    if text.startswith(CLASSES) and not path.exists():
        return _of_classes(text.removeprefix(CLASSES))
    if is_address(text) and not path.exists():
        return Index.of(open_shards(text)).source()
    if as_text(path.resolve()) != str(path.resolve()):
        raise SourceError(f"{as_text(path.resolve())} has a name that is not UTF-8, which a run cannot keep; rename it")
    if text == "digits":  # the one set that is always here
        return named_set(text)
    if path.exists():
        return _path(path, _Asked(_stem(path.resolve()), str(path.resolve()), group_by, read_as))
    shelf = Path(os.environ["PENNYWEIGHT_DATA"]) if os.environ.get("PENNYWEIGHT_DATA") else None
    on_shelf = {_stem(child): child for child in _children(shelf)} if shelf else {}
    found = on_shelf.get(text)
    files = set(SETS[text].files) if text in SETS else set()
    # A folder there that holds a set's own downloads is the set's.
    if found is not None and not (found.is_dir() and files & {child.name for child in found.iterdir()}):
        return _path(found, _Asked(text, text, group_by, read_as))
    if text in SETS:
        return named_set(text)
    known = dict.fromkeys([*SETS, *(name for name, child in on_shelf.items() if child.is_dir())])
    beside = [str(path.parent / child.name) for child in _children(path.parent) if child.is_dir()]
    hint = nearest(text, [*known, *beside], otherwise=f"; named sets are {', '.join(known)}")
    raise SourceError(f"no source '{text}': there is no such folder, and no set of that name{hint}")


def _of_classes(text: str) -> Source:
    """Open a folder whose folders are classes, whatever they hold and are called."""
    path = as_stored(Path(text).expanduser())
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not path.exists() and shelf and (Path(shelf) / text).is_dir():
        path = Path(shelf) / text
    if not path.is_dir():
        raise SourceError(f"{CLASSES} goes before a folder, and there is no folder {path}")
    return folder(path, address=f"{CLASSES}{path.resolve()}", classes=True)


def _path(path: Path, asked: _Asked) -> Source:
    """Open a folder or file as the kind of source that it is."""
    if path.is_dir():
        return _folder(path, asked)
    try:
        require_file(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    lower = path.name.lower()
    if lower.endswith(".tar") and is_shard(path):
        return replace(Index.of(of_files([str(path.resolve())], address=asked.address)).source(), name=asked.name)
    if lower.endswith(archives.SUFFIXES):
        return _archive(path, asked)
    if lower.endswith(".npz"):
        return npz(path, **asked.named)
    if lower.endswith(".parquet") and ("picture" in asked.read_as.columns or parquet.has_pictures(path)):
        return parquet.parquet([path], **asked.named, group_by=asked.group_by, read_as=asked.read_as)
    if lower.endswith(manifest.SUFFIXES):
        return _manifest([Table(path)], path.parent, asked)
    kinds = ", ".join((*manifest.SUFFIXES, ".npz", *archives.SUFFIXES))
    raise SourceError(
        f"{path} is a file; a source is a folder with a folder for each class, a file ending in {kinds}, or a named set"
    )


def _archive(path: Path, asked: _Asked) -> Source:
    """Open an archive, unpacked into the cache. Errors name the archive, and all members that were refused."""
    made = archives.unpacked(path)
    refused = tuple(f"refused of {path.name}: {line}" for line in made.refused)
    if refused and not any(made.folder.iterdir()):
        raise SourceError(f"nothing of {path} could be unpacked: {'; '.join(made.refused)}")
    try:
        inner, passed = _innermost(made.folder)
        opened = _path(inner, asked._replace(inside=True))
    except SourceError as error:
        raise SourceError("; ".join((str(error).replace(str(made.folder), str(path)), *refused))) from error
    return replace(opened, name=asked.name, notes=(*made.notes, *refused, *passed, *opened.notes))


def _folder(path: Path, asked: _Asked) -> Source:
    """A folder of class folders, of Parquet files, of shards, or with a manifest beside its pictures."""
    files = [child for child in _children(path) if child.is_file()]
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    if tables and ("picture" in asked.read_as.columns or all(parquet.has_pictures(file) for file in tables)):
        return parquet.parquet(tables, **asked.named, group_by=asked.group_by, read_as=asked.read_as)
    tars = [str(file.resolve()) for file in files if file.suffix.lower() == ".tar"]
    if len(tars) == len(_children(path)) > 0 and not asked.inside:
        return replace(Index.of(of_files(tars, address=asked.address)).source(), name=asked.name)
    if asked.read_as.label_from is not None and not asked.read_as.of_table:
        return named_labels(path, asked.read_as, **asked.named)
    arrays = [file for file in files if file.suffix.lower() == ".npz"]
    if len(arrays) == 1 and len(files) == 1 and not any(child.is_dir() for child in _children(path)):
        return npz(arrays[0], **asked.named)
    inner, passed = _wrapped(path)
    if inner != path:
        note = f"entered {as_text(inner.relative_to(path))}: it is all that {as_text(path)} holds"
        opened = _folder(inner, asked)
        return replace(opened, notes=(note, *passed, *opened.notes))
    return _listed(path, asked)


def _listed(path: Path, asked: _Asked) -> Source:
    """Open what the table of a folder lists, or the tables of its split folders; else its class folders.

    A table whose pictures are not there does not hide class folders, which is said. Without class folders a lone table
    is meant, whatever its name.
    """
    lone = asked.inside or bool(asked.read_as.of_table)
    candidates = find_tables(path, lone=lone)
    if asked.read_as.of_table:
        if not candidates:
            said = " and ".join(asked.read_as.of_table)
            raise SourceError(f"{path} has no table, or several, and {said} belong to one; name the table's file")
        return _manifest(candidates, path, asked)
    why = {table.path: why_not(table, path, asked.read_as) for table in candidates}
    real = [table for table in candidates if why[table.path] is None]
    if sum(table.split is None for table in real) > 1:
        named = " and ".join(table.path.name for table in real)
        raise SourceError(f"{path} has {named}, which all list its pictures; name the file of one")
    if real:
        return _manifest(real, path, asked)
    try:
        opened = folder(path, address=asked.address, grouped=asked.group_by == FOLDER)
        if opened.refusals and candidates:
            raise SourceError(opened.refusals[0])
    except SourceError as error:
        if candidates:
            return _manifest(candidates[:1], path, asked)  # which says what is wrong with it, and what would work
        if meant := find_tables(path, lone=True):
            try:
                return _manifest(meant, path, asked)
            except SourceError as other:
                raise SourceError(f"{error}; nor does its table say them: {other}") from other
        raise
    notes = tuple(f"passed over a table: {reason}" for reason in why.values())
    return replace(opened, name=asked.name, notes=(*notes, *opened.notes))


def _manifest(tables: Sequence[Table], root: Path, asked: _Asked) -> Source:
    return manifest.manifest(
        tables, root, **asked.named, group_by=asked.group_by, inside=asked.inside, read_as=asked.read_as
    )


def _wrapped(path: Path) -> tuple[Path, list[str]]:
    """Go past folders that hold one folder and nothing else to read, to one that has folders or a table.

    Return where that is, and notes on what was passed over on the way.
    """
    at, passed = path, list[str]()
    while True:
        walk = Walk(at)
        folders, pictures = walk.listing(at)
        if (
            len(folders) != 1
            or pictures
            or split_named(folders[0].name) is not None
            or any(map(_is_read, _children(at)))
        ):
            break
        if not any(child.is_dir() or _is_read(child) for child in _children(folders[0])):
            break
        at = folders[0]
        passed += walk.notes()
    return at, passed


def _is_read(path: Path) -> bool:
    """Return whether a path is a file of many pictures or of their labels."""
    return path.name.lower().endswith((*manifest.SUFFIXES, ".npz", ".tar")) and path.is_file()


def _innermost(path: Path) -> tuple[Path, list[str]]:
    """Go past folders that hold nothing but one folder or file, as archives of a folder do.

    Return where that is, and notes on the system folders that were passed over on the way.
    """
    children, passed = _children(path), list[str]()
    while len(children) == 1 and (children[0].is_file() or len(_children(children[0])) > 0):
        walk = Walk(path)
        walk.listing(path)
        path = children[0]
        if path.is_dir():
            passed += walk.notes()
        children = _children(path) if path.is_dir() else []
    return path, passed


def _stem(path: Path) -> str:
    """A source's name: that of its folder, or of its file without the ending."""
    lower = path.name.lower()
    endings = sorted((*archives.SUFFIXES, *manifest.SUFFIXES, ".npz"), key=len, reverse=True)
    ending = next((e for e in endings if lower.endswith(e)), "") if not path.is_dir() else ""
    return path.name[: len(path.name) - len(ending)]


def _children(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(child for child in path.iterdir() if not is_hidden(child.name) and not is_system(child.name))

"""Open a source by one string: a path, a folder's name under $PENNYWEIGHT_DATA, a named set, or streamed shards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, SourceError, nearest
from pennyweight.core.files import as_stored, as_text, expanded, fault_of_name
from pennyweight.data.corrections import apply_corrections
from pennyweight.data.given.open import is_passed, open_given
from pennyweight.data.groups import group_samples
from pennyweight.data.readers.folder import read_folder
from pennyweight.data.readers.layout import CLASSES
from pennyweight.data.readers.named import SETS, read_named_set
from pennyweight.data.readers.open_path import Request, open_path, source_name, visible_children
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.readers.shard_index import Index
from pennyweight.data.readers.shards import is_address, open_shards
from pennyweight.data.source import AnySource, Source

__all__ = ["is_known", "open"]


def open(
    source: AnySource,
    *,
    group_by: str | None = None,
    read_as: ReadAs | Mapping[str, Any] | None = None,
    least_classes: int = 2,
    strict: bool = True,
) -> Source:
    """Open a source of pictures: a path, a folder's name under $PENNYWEIGHT_DATA, a named set, or shards.

    Args:
        source: The string or path; a Source is returned unchanged. Programs may also pass (images, labels), lists of
            (path, label), a DataFrame, a data set of torch or Hugging Face, or a dict of splits of these.
        group_by: Keeps pictures of one group in one split: a column of a manifest, "folder", a regular expression
            whose first group is searched in each picture's name, such as "(patient[0-9]+)", an EXIF tag, such as
            "exif:Model", or a pause between EXIF times, such as "exif:DateTimeOriginal@10min".
        read_as: A ReadAs or a mapping of its fields: columns, pictures, ending, label_from, trust, corrections.
        least_classes: Smallest number of classes; training needs two, scoring one.
        strict: Refuse a source that training cannot use; else read what can be read, and keep the reasons in
            `Source.refusals`.

    Returns:
        The source: labels, samples, and notes for the user.

    Raises:
        SourceError: No such source (the message gives the nearest name), a source that cannot be read, or, with
            `strict`, one that training cannot use.
        InputError: Options that do not apply to the source.
    """
    how = ReadAs.of(read_as)
    if isinstance(source, Source):
        if group_by is not None or how:
            raise InputError(
                "group_by, read_as and trust apply to a path or a name, not to a Source, which has been read already"
            )
        return _require_usable(source, least_classes) if strict else source
    opened = (
        _open(os.fspath(source), group_by, how)
        if isinstance(source, (str, os.PathLike))
        else open_given(source, how, group_by)
    )
    if how.corrections is not None:
        opened = apply_corrections(opened, Path(how.corrections))
    if strict:
        _require_usable(opened, least_classes)
    _require_applied(how, opened, source)
    return opened if group_by is None else group_samples(opened, group_by)


def _require_applied(how: ReadAs, opened: Source, source: object) -> None:
    """Raise InputError for options that the reader of the source does not have."""
    if how.trust and not opened.streamed:
        raise InputError(f"trust is for streamed shards; the pictures of {opened.name} are read as files")
    others = [name for name in how.to_dict() if name not in ("trust", "corrections")]
    if others and (opened.streamed or not opened.read_as):
        options = " and ".join(others)
        what = source if isinstance(source, (str, os.PathLike)) else "what was passed"
        raise InputError(f"{options} belong{'s' * (len(others) == 1)} to a table or a folder, which {what} is not")


def is_known(source: str | os.PathLike[str]) -> bool:
    """Return whether there is a source of that name, or one to download; its content is not read."""
    text = os.fspath(source)
    return is_address(text) or text in SETS or text in _on_shelf() or expanded(text).exists()


def _require_usable(source: Source, least_classes: int) -> Source:
    """Return the source itself. Raises SourceError if its reader found faults, or if it has too few classes."""
    if source.refusals:
        more = len(source.refusals) - 1
        others = f"; and {more} more: `pennyweight doctor` lists all of them" if more else ""
        raise SourceError(source.refusals[0] + others)
    source.require_classes(least_classes)
    return source


def _open(text: str, group_by: str | None, read_as: ReadAs) -> Source:
    if text.startswith("scene:") and not Path(text).exists():
        raise SourceError(f"{text} is a scene, and this takes pictures; `pennyweight scene` and pw.scene take scenes")
    if is_passed(text):
        raise SourceError("these pictures were passed by a program, and no name opens them again: pass them again")
    if not text:
        raise SourceError("no source was named; give a folder with a folder for each class, or a named set")
    path = as_stored(expanded(text))
    if text.startswith(CLASSES) and not path.exists():
        return _open_class_folders(text.removeprefix(CLASSES))
    if is_address(text) and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a long list in braces
        return Index.load(open_shards(text), trust=read_as.trust).source()
    if fault := fault_of_name(path.resolve()):
        raise SourceError(f"{as_text(path.resolve())} {fault}")
    if text == "digits":  # the one named set that needs no file
        return read_named_set(text)
    if path.exists():
        return open_path(path, Request(source_name(path.resolve()), str(path.resolve()), group_by, read_as))
    on_shelf = _on_shelf()
    found = on_shelf.get(text)
    files = set(SETS[text].files) if text in SETS else set()
    # A folder that holds the downloaded files of a named set is no source of its own.
    if found is not None and not (found.is_dir() and files & {child.name for child in found.iterdir()}):
        return open_path(found, Request(text, text, group_by, read_as))
    if text in SETS:
        return read_named_set(text)
    known = dict.fromkeys([*SETS, *(name for name, child in on_shelf.items() if child.is_dir())])
    beside = [str(path.parent / child.name) for child in visible_children(path.parent) if child.is_dir()]
    hint = nearest(text, [*known, *beside], otherwise=f"; named sets are {', '.join(known)}")
    raise SourceError(f"no source '{text}': there is no such folder, and no set of that name{hint}")


def _on_shelf() -> dict[str, Path]:
    """Return the folders and files under $PENNYWEIGHT_DATA by their names as sources."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    return {source_name(child): child for child in visible_children(Path(shelf))} if shelf else {}


def _open_class_folders(text: str) -> Source:
    """Open a folder whose folders are classes, even if their names or contents look like splits."""
    path = as_stored(expanded(text))
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not path.exists() and shelf and (Path(shelf) / text).is_dir():
        path = Path(shelf) / text
    if not path.is_dir():
        raise SourceError(f"{CLASSES} precedes a folder, and there is no folder {path}")
    return read_folder(path, address=f"{CLASSES}{path.resolve()}", classes=True)

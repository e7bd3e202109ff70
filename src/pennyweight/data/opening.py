"""From a string to a source: a named set, a folder, or the name of a folder under $PENNYWEIGHT_DATA."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pennyweight.core.errors import SourceError, nearest
from pennyweight.data.digits import digits
from pennyweight.data.folder import folder
from pennyweight.data.source import Source

__all__ = ["SETS", "open"]

SETS: dict[str, Callable[[], Source]] = {"digits": digits}
"""Named sets; `./digits` means a folder of that name."""


def open(source: str | os.PathLike[str]) -> Source:
    """Open a source of pictures by one string. Raises SourceError with the nearest name when there is none."""
    text = os.fspath(source)
    if not text:
        raise SourceError("no source was named; give a folder with a folder for each class, or a named set")
    if text in SETS:
        return SETS[text]()
    path = Path(text).expanduser()
    if path.is_dir():
        return folder(path)
    if path.exists():
        raise SourceError(f"{text} is a file; a source is a folder with a folder for each class, or a named set")
    shelf = Path(os.environ["PENNYWEIGHT_DATA"]) if os.environ.get("PENNYWEIGHT_DATA") else None
    on_shelf = [child.name for child in _folders(shelf)] if shelf else []
    if shelf and text in on_shelf:
        return folder(shelf / text, address=text)
    known = [*SETS, *on_shelf]
    beside = [str(path.parent / child.name) for child in _folders(path.parent)]
    hint = nearest(text, [*known, *beside], otherwise=f"; named sets are {', '.join(known)}")
    raise SourceError(f"no source '{text}': there is no such folder, and no set of that name{hint}")


def _folders(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []

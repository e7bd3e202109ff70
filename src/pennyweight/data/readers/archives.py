"""Unpack archives of pictures safely: plain files and folders only, all under one new folder.

`unpack` refuses members with `..`, absolute or drive paths, links, devices, and names that differ from another one by
case only; it counts the refused members by reason. Sizes that an archive declares are not trusted: `unpack` counts
bytes as it writes them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.cache import cached_file, make_cache_folder
from pennyweight.core.errors import SourceError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.reading import MAX_RATIO, reason_of
from pennyweight.core.reasons import EXAMPLES, such_as
from pennyweight.data.readers.archive_members import Member, notes_on_names, shown, size_limit, walk_members

__all__ = ["Unpacked", "unpack", "unpack_to_cache"]

MAX_NAME = 1000
CHUNK_BYTES = 1 << 20
DONE = "unpacked.json"
FORMAT = 4
"""Version of the cache entry; an archive that was unpacked by another version is unpacked again."""
LITTER = "__MACOSX"
"""Folder in which macOS packs metadata of the files."""
CLASH = "a name that clashes with another one, case ignored"


@dataclass(frozen=True)
class Unpacked:
    """Folder with an archive's files, a line for each reason of a refusal, and notes on the encoding of names."""

    folder: Path
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    listed: Path | None = None
    """JSON file that lists every refused member, if the lines name only some."""


def unpack_to_cache(archive: Path) -> Unpacked:
    """Unpack an archive into the cache, once for each content. Raises SourceError, also for a full disk."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    home = cached_file("archives", f"{digest[:32]}-{FORMAT}")
    try:
        _unpack_once(archive, home)
    except OSError as error:
        raise SourceError(
            f"cannot unpack {archive} into {home.parent}: {reason_of(error)}; make room there, or name another "
            "folder by $PENNYWEIGHT_CACHE"
        ) from error
    record = read_json(home / DONE)
    some = len(record["members"]) > EXAMPLES
    return Unpacked(home / "files", tuple(record["refused"]), tuple(record["notes"]), home / DONE if some else None)


def _unpack_once(archive: Path, home: Path) -> None:
    if not (home / DONE).exists():
        make_cache_folder(home.parent)
        # Unpacked in a temporary folder, then renamed: another process finds the whole entry or none.
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unpacking-") as temporary:
            made = Path(temporary, "made")
            members: list[tuple[str, str]] = []
            refused = unpack(archive, made / "files", refuse=lambda name, reason: members.append((name, reason)))
            known = {"archive": archive.name, "refused": refused, "notes": notes_on_names(archive)}
            write_json(made / DONE, {**known, "members": members})
            try:
                made.rename(home)
            except OSError:
                if not (home / DONE).exists():
                    raise


def unpack(
    archive: Path, target: Path, *, refuse: Callable[[str, str], None] = lambda name, reason: None
) -> tuple[str, ...]:
    """Write the plain files of `archive` under the new folder `target`.

    Args:
        archive: The archive.
        target: The new folder.
        refuse: Called with the name of each refused member and the reason.

    Returns:
        A line for each reason of a refusal: the number of refused members, the reason, and three of their names.

    Raises:
        SourceError: `archive` is not an archive, is damaged, or is a decompression bomb. `target` is removed.
    """
    target.mkdir(parents=True)
    budget = size_limit(archive)
    refused: Counter[str] = Counter()
    examples: defaultdict[str, list[str]] = defaultdict(list)
    taken: dict[str, str] = {}
    folders: dict[str, str] = {}
    try:
        for member in walk_members(archive):
            if _litter(member.name):
                if (top := member.name.split("/")[0]) == LITTER:
                    (target / top).mkdir(exist_ok=True)  # empty; the walk of the folder reports that it is skipped
                continue
            reason = _refusal(member, taken, folders)
            if reason:
                refused[reason] += 1
                refuse(shown(member.name), reason)
                examples[reason] += [shown(member.name)] * (refused[reason] <= EXAMPLES)
            elif member.content is not None:
                budget -= _write(member, target, budget, archive)
    except BaseException as error:
        shutil.rmtree(target)
        # A damaged archive can raise nearly any error. An error of the disk has an errno: not the archive's fault.
        if not isinstance(error, Exception) or isinstance(error, SourceError) or getattr(error, "errno", None):
            raise
        raise SourceError(f"cannot unpack {archive}: {reason_of(error).rstrip(': ')}") from error
    lines = ((count, reason, such_as(examples[reason])) for reason, count in refused.most_common())
    return tuple(f"{count:,} × {reason}, such as {names}" for count, reason, names in lines)


def _litter(name: str) -> bool:
    """Return whether macOS added the member on its own."""
    return name.split("/")[0] == LITTER or name.rpartition("/")[2] == ".DS_Store"


def _refusal(member: Member, taken: dict[str, str], folders: dict[str, str]) -> str | None:
    """Return the reason to refuse a member, or None. Records its names in `taken` (files) and `folders`."""
    name = member.name
    if member.kind not in ("file", "folder"):
        return f"{member.kind} is not unpacked"
    parts = name.rstrip("/").split("/")
    parts = parts[1:] if parts[0] == "." else parts
    if not parts or not "".join(parts):
        return None if member.kind == "folder" else "it has no name"
    if name.startswith("/"):
        return "an absolute path"
    colon = ":" in name if os.name == "nt" else parts[0][1:2] == ":"
    if "\\" in name or colon or any(ord(letter) < 32 for letter in name):
        return "a name that other systems read differently"
    if any(part in ("..", ".", "") for part in parts):
        return "a path that leads out of its folder" if ".." in parts else "a path with empty parts"
    if len(name) > MAX_NAME or any(len(os.fsencode(part)) > 255 for part in parts):
        return "a name that is too long"
    path, low = "/".join(parts), "/".join(parts).lower()
    for end in range(1, len(parts)):
        above = "/".join(parts[:end])
        if above.lower() in taken or folders.setdefault(above.lower(), above) != above:
            return CLASH
    if member.kind == "folder":
        clash = taken.get(low) or (folders.setdefault(low, path) if folders.get(low, path) != path else None)
        folders.setdefault(low, path)
    else:
        clash = taken.get(low) or folders.get(low)
        taken.setdefault(low, path)
    return CLASH if clash else None


def _write(member: Member, target: Path, budget: int, archive: Path) -> int:
    """Write one file and return its size in bytes. Raises SourceError when it exceeds `budget`."""
    assert member.content is not None
    parts = [part for part in member.name.split("/") if part != "."]
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as file:
        while chunk := member.content.read(CHUNK_BYTES):
            written += len(chunk)
            if written > budget:
                raise SourceError(
                    f"{archive} unpacks to more than {MAX_RATIO} times its size at {shown(member.name)}; "
                    "it looks like a decompression bomb"
                )
            file.write(chunk)
    return written

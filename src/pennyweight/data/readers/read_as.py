"""Reading options that a source's files do not give: columns, a table's folder, labels in names, corrections, trust."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pennyweight.core.errors import InputError, SourceError, nearest, received
from pennyweight.core.files import expanded
from pennyweight.core.text import composed
from pennyweight.data.readers.columns import COLUMNS, find_column

__all__ = ["ReadAs", "one_group"]


@dataclass(frozen=True, kw_only=True)
class ReadAs:
    """Options with which a user says how to read a source.

    `columns`: meaning (path, label, split, picture) -> name of the table's column. `pictures`: base folder of a
    table's paths, relative to the working directory or to the table; by default the table's folder. `ending`: file
    extension that paths lack, such as ".jpg". `label_from`: regular expression with one group, whose match in a
    picture's name is the label. `trust`: shards are read without decoding each picture first. `corrections`: table of
    corrected labels and of pictures to leave out, as the page of `review` saves it. `fetch`: `predict` downloads the
    pictures at addresses that a table or a list names.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    pictures: str | None = None
    ending: str = ""
    label_from: str | None = None
    trust: bool = False
    corrections: str | None = None
    fetch: bool = False

    @classmethod
    def of(cls, given: ReadAs | Mapping[str, Any] | None) -> ReadAs:
        """Make options from a mapping of the fields. Raises InputError for an unknown field or a wrong value."""
        if isinstance(given, cls):
            return given
        if given is not None and not isinstance(given, Mapping):
            raise InputError(f"read_as is a mapping of {', '.join(_names())}, not {received(given)}")
        values = {name: value for name, value in (given or {}).items() if value is not None}
        for name in values:
            if name not in _names():
                raise InputError(
                    f"read_as has no field '{name}'{nearest(name, _names())}; it has {', '.join(_names())}"
                )
        return cls(**values)

    def __post_init__(self) -> None:
        columns = dict(self.columns)
        for meaning in columns:
            if meaning not in COLUMNS:
                known = ", ".join(COLUMNS)
                raise InputError(f"columns name {known}, not '{meaning}'{nearest(meaning, COLUMNS)}")
        object.__setattr__(self, "columns", columns)
        if self.pictures is not None:
            folder = expanded(self.pictures)
            # A folder that is not here may lie next to the table, also in an archive.
            object.__setattr__(self, "pictures", str(folder.resolve() if folder.is_dir() else folder))
        if self.corrections is not None:
            object.__setattr__(self, "corrections", str(expanded(self.corrections).resolve()))
        if self.ending:
            object.__setattr__(self, "ending", f".{self.ending.removeprefix('.')}")
        if not isinstance(self.trust, bool):
            raise InputError(f"trust is true or false, not {received(self.trust)}")
        if self.label_from is not None:
            one_group(self.label_from, "--label-from", example="^([a-z]+)")

    def __bool__(self) -> bool:
        return self != ReadAs()

    @property
    def of_table(self) -> tuple[str, ...]:
        """Names of the given fields that apply to tables only."""
        return tuple(name for name in ("columns", "pictures", "ending") if getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that were given, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value}

    def column(self, names: Iterable[str], meaning: str, where: object) -> str | None:
        """Return the column with that meaning: the one the user named, else the usual one. Raises SourceError."""
        known = {name.strip(): name for name in names}
        said = self.columns.get(meaning)
        if said is None:
            return find_column(known.values(), meaning)
        if said not in known:
            raise SourceError(f"{where} has no column '{said}'{nearest(said, known)}; it has {', '.join(known)}")
        return known[said]

    def label_of(self, name: str) -> str | None:
        """Return the label in a picture's name, or None."""
        found = re.search(composed(self.label_from or "()"), composed(name))
        return (found[1] or "").strip() or None if found else None


def one_group(text: str, option: str, *, example: str) -> re.Pattern[str]:
    """Compile a regular expression with one group. Raises InputError."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"{option} '{text}' is no regular expression: {error}") from error
    if pattern.groups != 1:
        raise InputError(f"{option} '{text}' has {pattern.groups} groups in place of one, such as '{example}'")
    return pattern


def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(ReadAs))

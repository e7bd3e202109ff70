"""Sample as a shard stores it: its picture, and its class as a field, a record or a column gives it."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pennyweight.core.images import EXTENSIONS
from pennyweight.data.readers.columns import COLUMNS
from pennyweight.data.source import Split

__all__ = [
    "LABELS",
    "NO_PICTURE",
    "TEXT",
    "WITHOUT",
    "Example",
    "Part",
    "class_text",
    "is_class_field",
    "is_picture",
    "lack_of",
    "make_example",
]

LABELS = ("cls", *COLUMNS["label"])
NO_PICTURE = "has no picture"
RECORD, TEXT = "json", "txt"
ARRAYS = ".npy"
"""Ending of pictures with many bands; also that of features, which lie next to another picture."""
LONGEST = 200
"""Most characters of a class; a longer text describes the picture."""
PICKLED = b"\x80"
"""First byte of a Python pickle."""
PICKLES = ("pyd", "pickle", "pkl", "pth", "pt")
"""Endings of fields that hold Python pickles."""
WITHOUT = "no class in "
"""Start of a note on the fields of a sample without a class."""
KEYS_NAMED = 6


class Example(NamedTuple):
    """Sample as stored in a shard: key, picture file, class as written; a missing picture or class is empty."""

    key: str
    picture: bytes
    label: str
    place: int = -1
    """Byte at which the picture begins in a tar, or row group in a table; -1 if neither is known."""
    fault: str = ""
    """Reason for which the sample cannot be used, with its key; empty if a class alone may be missing."""
    note: str = ""
    """Fields from which picture and class were taken, where their names do not tell."""
    split: Split | None = None
    """Split that the sample itself names."""


class Part(NamedTuple):
    """File of a sample in a tar."""

    content: bytes
    place: int
    link: str = ""
    """Name of the file that it links to, in place of a content of its own."""


def ending_of(field: str) -> str:
    """Return the last part of a field's name, in lower case: `jpg` of `input.JPG`."""
    return field.rpartition(".")[2].lower()


def is_picture(field: str) -> bool:
    """Return whether a field holds a picture file."""
    return f".{ending_of(field)}" in EXTENSIONS


def is_class_field(field: str) -> bool:
    """Return whether a field of this name can hold a class."""
    return ending_of(field) in (*LABELS, RECORD, TEXT)


def make_example(key: str, parts: Mapping[str, Part], twice: Iterable[str] = ()) -> Example:
    """Return the sample of these files.

    Args:
        key: Name that the files share.
        parts: Field, the rest of a file's name -> file.
        twice: Fields that the sample has more than once.
    """
    try:
        if repeated := sorted(set(twice)):
            raise ValueError(f"has the file {repeated[0]} twice")
        picture = _picture_field(parts)
        field, label = _class(parts)
    except ValueError as fault:
        return Example(key, b"", "", fault=f"{key} {fault}")
    stored = parts[picture]
    others = [name for name in parts if is_picture(name) and name != picture]
    note = f"picture from {picture}" if "." in picture or others else ""
    if field and ("." in field or ending_of(field) == TEXT):
        note += f"{', ' if note else ''}class from {field}"
    note = note if label else _without_class(parts)
    return Example(key, stored.content, label, stored.place, note=note)


def class_text(value: object, field: str) -> str:
    """Return a class as text; empty for a missing class. Raises ValueError for any other value."""
    if isinstance(value, bytes):
        value = _decoded(value, field)
        if isinstance(listed := _parsed(value), list):
            value = listed
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > 1:
            raise ValueError(f"has {len(value)} classes in {field}; a picture has one")
        value = value[0] if value else None
    if isinstance(value, Mapping):
        raise ValueError(f"has a record of {', '.join(map(str, value))} in {field}; a class is a text or a number")
    label = "" if value is None or value != value else str(value).strip()  # NaN alone differs from itself
    if len(label) > LONGEST:
        raise ValueError(f"has {len(label):,} characters in {field}; a class has {LONGEST} at most")
    return label


def _decoded(value: bytes, field: str) -> str:
    if value.startswith(PICKLED) and value.rstrip().endswith(b"."):
        raise ValueError(f"has a Python pickle in {field}, which can run code; write the class as text")
    try:
        text = value.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"has binary data in {field}; write the class as text")
    return text


def lack_of(part: Part) -> str:
    """Return the reason for which a file without content is no picture, to follow a sample's key."""
    if part.link:
        return f"has a link to {part.link} in place of a picture; pack it with tar --dereference --hard-dereference"
    return NO_PICTURE


def _picture_field(parts: Mapping[str, Part]) -> str:
    """Return the field with the picture: the only one, the only one that is not an array, or the only plain name."""
    found = [field for field in parts if is_picture(field)]
    for choose in (lambda field: not field.endswith(ARRAYS[1:]), lambda field: "." not in field):
        if len(found) > 1:
            found = list(filter(choose, found)) or found
    if not found:
        raise ValueError(NO_PICTURE)
    if len(found) > 1:
        raise ValueError(f"has {len(found)} pictures, {found[0]} and {found[1]}; a sample has one")
    if not parts[found[0]].content:
        raise ValueError(lack_of(parts[found[0]]))
    return found[0]


def _class(parts: Mapping[str, Part]) -> tuple[str, str]:
    """Return the field with the class, and the class; both are empty if no field gives one.

    A `label` in the record is the name of a number.
    """
    for name in LABELS:
        fields = [name] if name in parts else [field for field in parts if ending_of(field) == name]
        if len(fields) > 1:
            raise ValueError(f"has {len(fields)} classes, {' and '.join(fields)}; a sample has one")
        if fields and (label := class_text(parts[fields[0]].content, fields[0])):
            named = _recorded(parts, ("label",)) if label.isdecimal() else ""
            return fields[0], named or label
    if label := _recorded(parts):
        return RECORD, label
    texts = [field for field in parts if ending_of(field) == TEXT]
    if len(texts) > 1:  # of a caption and a label.txt, the label
        texts = [field for field in texts if field.rpartition(".")[0].rpartition(".")[2] in LABELS]
    if len(texts) == 1:
        return texts[0], class_text(parts[texts[0]].content, texts[0])
    return "", ""


def _recorded(parts: Mapping[str, Part], names: Iterable[str] = LABELS) -> str:
    """Return the class in the record; empty without one, or for a damaged record."""
    field = next((field for field in parts if ending_of(field) == RECORD), None)
    if field is None:
        return ""
    values = _parsed(parts[field].content)
    if isinstance(values, dict):
        known = {str(name).strip().lower(): value for name, value in values.items() if value is not None}
        values = next((known[name] for name in names if name in known), None)
    elif names != LABELS:
        return ""
    return class_text(values, field)


def _parsed(content: bytes | str) -> Any:
    """Return the value of a JSON text; None for a damaged one."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) and content[:3] == BOM_UTF8 else content
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _without_class(parts: Mapping[str, Part]) -> str:
    """Return a note on the fields of a sample without a class that may have been meant for one."""
    for field, part in parts.items():
        if ending_of(field) in PICKLES:
            return f"{WITHOUT}{field}, a Python pickle, which can run code; write the class as text in cls"
        if field.endswith(ARRAYS) and field.partition(".")[0] in LABELS:
            return f"{WITHOUT}{field}, an array; write the class as text in cls"
        if ending_of(field) == RECORD and isinstance(values := _parsed(part.content), dict):
            names = ", ".join(map(str, list(values)[:KEYS_NAMED])) + ", …" * (len(values) > KEYS_NAMED)
            return f"{WITHOUT}{field}, which has {names or 'nothing'}"
    return ""

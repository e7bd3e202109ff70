"""Metadata of an ONNX file, read without an engine."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path

from pennyweight.runtime.protobuf import fields

__all__ = ["read_metadata"]

METADATA, KEY, VALUE = 14, 1, 2
"""Fields of ModelProto and of StringStringEntryProto."""


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of an ONNX file that is not empty, by key."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        found = {}
        for entry in fields(content, 0, len(content)):
            if entry.number == METADATA and not entry.is_number:
                texts = {
                    part.number: content[part.start : part.end] for part in fields(content, entry.start, entry.end)
                }
                found[texts.get(KEY, b"").decode()] = texts.get(VALUE, b"").decode()
        return found

"""Walk over the fields of a protobuf message, such as an ONNX file, without the onnx package.

A message is a list of fields. Each is a tag (number and wire type), then a number, or a length and bytes.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

__all__ = ["Field", "fields", "numbers"]

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
FIXED = {FIXED_64: 8, FIXED_32: 4}


class Field(NamedTuple):
    """Field of a message: its number, and its value; or the first and last place of its bytes."""

    number: int
    value: int
    start: int
    end: int

    @property
    def is_number(self) -> bool:
        """Return True for a number, False for bytes."""
        return self.end == self.start


def fields(content: bytes | mmap, start: int, end: int) -> Iterator[Field]:
    """Yield the fields between two places; of a damaged message those before the damage."""
    while start < end:
        tag, start = _varint(content, start, end)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, start = _varint(content, start, end)
            yield Field(number, value, start, start)
        elif wire == LENGTH:
            length, start = _varint(content, start, end)
            last = min(end, start + length)
            yield Field(number, length, start, last)
            start = last
        elif wire in FIXED:
            start += FIXED[wire]
        else:
            return


def numbers(content: bytes | mmap, field: Field) -> list[int]:
    """Return the whole numbers of a repeated field, packed or one alone, negative ones too."""
    if field.is_number:
        return [_signed(field.value)]
    found, place = [], field.start
    while place < field.end:
        value, place = _varint(content, place, field.end)
        found.append(_signed(value))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(content: bytes | mmap, place: int, end: int) -> tuple[int, int]:
    """Read seven bits a byte, the lowest first; return the number and the next place."""
    value = shift = 0
    while place < end:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift >= 70:
            break
    return value, place

"""MATLAB's files of version 5 to 7: the real numeric arrays at their top.

MathWorks, "MAT-File Format", Level 5. Read here, because a damaged file crashes the process inside scipy's reader, and
because a size is believed only where the bytes are there.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.reading import believe

__all__ = ["Variable", "order_of", "variables"]

HEADER_BYTES = 128
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of an element's data -> numpy's; values are kept as the smallest that holds them."""
MATRIX, COMPRESSED, INT32, UINT32 = 14, 15, 5, 6
NUMERIC = range(6, 16)
"""Classes of arrays of numbers, double to uint64."""
COMPLEX = 0x800
MOST_HEAD = 1 << 16
"""Bytes of a variable before its values: its name, and as many sides as MATLAB allows."""


class Element(NamedTuple):
    """A part of a variable: its type, and its bytes as far as they were asked for."""

    kind: int
    size: int
    start: int
    """Of its bytes, in the variable."""
    end: int
    """Of the next element."""


@dataclass(frozen=True)
class Variable:
    """An array that was not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    place: int
    """Of its content in the file."""
    packed: int | None
    """Bytes that zlib made of it; None where it is stored as it is."""
    start: int
    """Of its values in the content."""

    def read(self, file: IO[bytes], spare: int) -> NDArray[Any]:
        """Return the values. Raises ValueError where they are not whole, or far larger than the file lets expect."""
        size = math.prod(self.shape) * self.dtype.itemsize
        file.seek(self.place)
        if self.packed is None:
            file.seek(self.start, 1)
            content = file.read(size)
        else:
            believe(size, self.packed, spare=spare)
            content = zlib.decompressobj().decompress(file.read(self.packed), self.start + size)[self.start :]
        if len(content) < size:
            raise ValueError(f"its '{self.name}' ends after {len(content):,} of {size:,} bytes")
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F")


def order_of(start: bytes) -> str | None:
    """Return the order of bytes, "<" or ">", of a file of this version by its first 128 bytes; None for another one."""
    return {b"IM": "<", b"MI": ">"}.get(start[126:HEADER_BYTES])


def variables(file: IO[bytes], order: str) -> Iterator[Variable]:
    """Yield the arrays of real numbers. Raises ValueError for a file that is cut short."""
    place = file.seek(HEADER_BYTES)
    while tag := file.read(8):
        if len(tag) < 8:
            raise ValueError("it is cut short")
        kind, size = struct.unpack(f"{order}II", tag)
        place += 8
        if kind == MATRIX:
            found = _variable(file.read(min(size, MOST_HEAD)), order, place, None)
        elif kind == COMPRESSED:
            head = zlib.decompressobj().decompress(file.read(min(size, MOST_HEAD)), MOST_HEAD)
            inner, _ = struct.unpack_from(f"{order}II", head)
            found = _variable(head[8:], order, place, size) if inner == MATRIX else None
        else:
            raise ValueError(f"it holds an element of the kind {kind}, which no such file has")
        if found is not None:
            yield found
        place = file.seek(place + size)


def _variable(head: bytes, order: str, place: int, packed: int | None) -> Variable | None:
    """Return what the beginning of a variable says; None where it is no array of real numbers."""
    flags = _element(head, 0, order)
    if flags.kind != UINT32 or flags.size != 8:
        raise ValueError("it holds an array without flags")
    (word,) = struct.unpack_from(f"{order}I", head, flags.start)
    if word & 0xFF not in NUMERIC or word & COMPLEX:
        return None
    sides = _element(head, flags.end, order)
    if sides.kind != INT32 or sides.size % 4 or not sides.size:
        raise ValueError("it holds an array without sides")
    shape = struct.unpack_from(f"{order}{sides.size // 4}i", head, sides.start)
    called = _element(head, sides.end, order)
    name = head[called.start : called.start + called.size].decode("latin-1")
    values = _element(head, called.end, order)
    if min(shape) < 0 or values.kind not in STORED:
        raise ValueError(f"its '{name}' is no array: sides {shape}, values of the kind {values.kind}")
    dtype = np.dtype(order + STORED[values.kind])
    if math.prod(shape) * dtype.itemsize != values.size:
        raise ValueError(f"its '{name}' has {values.size:,} bytes for {'×'.join(map(str, shape))} values of {dtype}")
    return Variable(name, shape, dtype, place, packed, values.start + (0 if packed is None else 8))


def _element(head: bytes, place: int, order: str) -> Element:
    first, size = struct.unpack_from(f"{order}II", head, place)
    if first >> 16:  # four bytes at most stand in place of the size
        return Element(first & 0xFFFF, first >> 16, place + 4, place + 8)
    return Element(first, size, place + 8, place + 8 + -(-size // 8) * 8)

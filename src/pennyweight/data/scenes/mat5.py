"""MATLAB files of version 5 to 7: the real numeric arrays at the top level.

MathWorks, "MAT-File Format", Level 5. scipy's reader is not used, because a damaged file can crash its process and
because it trusts declared sizes.
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

from pennyweight.core.reading import require_plausible

__all__ = ["Variable", "order_of", "variables"]

HEADER_BYTES = 128
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of an element's data -> numpy's type; MATLAB stores values in the smallest type that holds them."""
MATRIX, COMPRESSED, INT32, UINT32 = 14, 15, 5, 6
NUMERIC = range(6, 16)
"""Classes of numeric arrays, double to uint64."""
COMPLEX = 0x800
MOST_HEAD = 1 << 16
"""Largest number of bytes of a variable before its values: flags, shape and name."""


class Element(NamedTuple):
    """Part of a variable: its type, size and place."""

    kind: int
    size: int
    start: int
    """Offset of its bytes in the variable."""
    end: int
    """Offset of the next element."""


@dataclass(frozen=True)
class Variable:
    """Array that has not been read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    place: int
    """Offset of its content in the file."""
    packed: int | None
    """Compressed size in bytes; None if it is not compressed."""
    start: int
    """Offset of its values in the uncompressed content."""

    def read(self, file: IO[bytes], spare: int) -> NDArray[Any]:
        """Read the values. Raises ValueError for truncated values and for a decompression bomb."""
        size = math.prod(self.shape) * self.dtype.itemsize
        file.seek(self.place)
        if self.packed is None:
            file.seek(self.start, 1)
            content = file.read(size)
        else:
            require_plausible(size, self.packed, spare=spare)
            content = zlib.decompressobj().decompress(file.read(self.packed), self.start + size)[self.start :]
        if len(content) < size:
            raise ValueError(f"its '{self.name}' ends after {len(content):,} of {size:,} bytes")
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F")


def order_of(start: bytes) -> str | None:
    """Return the byte order, "<" or ">", from a file's first 128 bytes; None for a file of another version."""
    return {b"IM": "<", b"MI": ">"}.get(start[126:HEADER_BYTES])


def variables(file: IO[bytes], order: str) -> Iterator[Variable]:
    """Yield the arrays of real numbers. Raises ValueError for a truncated file."""
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
            raise ValueError(f"it holds an element of the unknown kind {kind}")
        if found is not None:
            yield found
        place = file.seek(place + size)


def _variable(head: bytes, order: str, place: int, packed: int | None) -> Variable | None:
    """Parse the beginning of a variable; return None for anything but an array of real numbers."""
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
    if first >> 16:  # a small element: up to four bytes of data in place of the size
        return Element(first & 0xFFFF, first >> 16, place + 4, place + 8)
    return Element(first, size, place + 8, place + 8 + -(-size // 8) * 8)

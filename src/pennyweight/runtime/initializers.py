"""Find NaN in a bundle's weights, without the onnx package: such a graph can answer with NaN, or with any class.

An ONNX file is a protobuf message. Each field is a tag (number and wire type), then a number, or a length and bytes.
Sources: https://protobuf.dev/programming-guides/encoding/, and onnx.proto3 for the numbers below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pennyweight.core.errors import BundleError

__all__ = ["require_numbers"]

GRAPH, INITIALIZER = 7, 5
DATA_TYPE, NAME = 2, 8
CONTENTS = (4, 9, 10)
"""Fields of a tensor that hold its values: float_data, raw_data, double_data."""
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""Numpy's name of each floating-point data_type; no other type of a bundle's weights holds NaN."""
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5


def require_numbers(path: Path) -> None:
    """Raise BundleError if a weight in an ONNX file is NaN; the message names the first such tensor.

    Infinity is accepted: attention masks hold it. The file must be one that onnxruntime can open.
    """
    with path.open("rb") as file:
        for number, end in _fields(file, path.stat().st_size):
            if number != GRAPH:
                continue
            for inner, tensor_end in _fields(file, end):
                if inner == INITIALIZER and (name := _name_with_nan(file, tensor_end)):
                    raise BundleError(f"{path} cannot be used: its weight '{name}' holds NaN; export the network again")


def _name_with_nan(file: BinaryIO, end: int) -> str:
    """Read the tensor up to byte `end`, and return its name if it holds NaN, else an empty text."""
    kind, name, contents = 0, b"?", [b""]
    for number, value in _fields(file, end):
        if number == DATA_TYPE:
            kind = value
        elif number == NAME:
            name = file.read(value - file.tell())
        elif number in CONTENTS:
            contents.append(file.read(value - file.tell()))
    if kind not in FLOATS:
        return ""
    dtype = np.dtype(FLOATS[kind])
    values = (np.frombuffer(content, dtype, len(content) // dtype.itemsize) for content in contents)
    return name.decode(errors="replace") if any(np.isnan(each).any() for each in values) else ""


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each field up to byte `end`, and its value, or for bytes the position of their end.

    The file's position must be at the first field. The caller may move it between fields.
    """
    while file.tell() < end:
        tag = _varint(file)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            yield number, _varint(file)
        elif wire == LENGTH:
            length = _varint(file)
            last = min(end, file.tell() + length)
            yield number, last
            file.seek(last)
        else:
            file.seek({FIXED_64: 8, FIXED_32: 4}.get(wire, end), 1)  # after an unknown wire type nothing can be read


def _varint(file: BinaryIO) -> int:
    """Read a varint: seven bits a byte, the lowest first."""
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80 or shift >= 70:
            break
    return value

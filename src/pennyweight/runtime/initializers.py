"""Weights of a bundle, read without the onnx package: a graph that holds NaN can answer with NaN, or with any class.

An ONNX file is a protobuf message. Each field is a tag (number and wire type), then a number or a length with so many
bytes. https://protobuf.dev/programming-guides/encoding/, and onnx.proto3 for the numbers below.
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
"""Fields of a tensor with its values: float_data, raw_data, double_data."""
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""Floating-point values of data_type, as numpy names them; no other type of a bundle's weights holds NaN."""
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5


def require_numbers(path: Path) -> None:
    """Raise BundleError, which names the first such tensor, where a weight in an ONNX file is NaN.

    Infinity is accepted: masks of attention hold it. Call it for files that onnxruntime has opened.
    """
    with path.open("rb") as file:
        for number, end in _fields(file, path.stat().st_size):
            if number != GRAPH:
                continue
            for inner, tensor_end in _fields(file, end):
                if inner == INITIALIZER and (name := _name_with_nan(file, tensor_end)):
                    raise BundleError(f"{path} cannot be used: its weight '{name}' holds NaN; export the network again")


def _name_with_nan(file: BinaryIO, end: int) -> str:
    """Return the name of the tensor that ends there, if it holds NaN."""
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
    """Yield each field of the message that ends there: its number, and its value, or where its bytes end.

    The file is at the first of those bytes, and may be moved meanwhile.
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
            file.seek({FIXED_64: 8, FIXED_32: 4}.get(wire, end), 1)  # another wire type: nothing can be read behind it


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80 or shift >= 70:
            break
    return value

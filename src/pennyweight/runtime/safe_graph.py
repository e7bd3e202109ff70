"""Refuse an ONNX file that could run without end, read other files or fill the memory, before an engine opens it.

`export` writes none of what is refused here. Numbers of fields are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from pennyweight.core.errors import BundleError
from pennyweight.runtime.protobuf import Field, fields, numbers

__all__ = ["require_numbers", "require_safe"]

GRAPH, FUNCTION = 7, 25
NODES = {GRAPH: 1, FUNCTION: 7}
"""Number of the field with the nodes, in a graph and in a function."""
INITIALIZER = 5
OPERATOR, ATTRIBUTE, INPUT, OUTPUT = 4, 5, 1, 2
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS = 5, 6, 11
DIMS, DATA_TYPE, INT64_DATA, NAME, RAW_DATA, LOCATION = 1, 2, 7, 8, 9, 14
CONTENTS = (4, 5, 6, 7, RAW_DATA, 10, 11)
"""Fields of a tensor that hold its values."""
ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
"""Bytes of a value of each data_type in raw_data."""
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""Numpy's name of each floating-point data_type; no other type of a bundle's weights holds NaN."""
INT64 = 7
SHAPES = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Pad": 1, "Resize": 3}
"""Operators that make large values of small ones, and the input that holds the sizes."""
MOST_VALUES = 1 << 28
"""Most values that a graph may make of a constant shape: 1 GiB of 32-bit numbers."""
SMALL = 64
"""Most values of a tensor that is read as a shape."""


def require_safe(path: Path) -> None:
    """Raise BundleError for loops and branches, for weights in other files, and for sizes that the file cannot hold.

    A file that is not ONNX passes: the engine refuses it.
    """
    with _mapped(path) as content:
        for part in fields(content, 0, len(content)):
            if part.number not in NODES or part.is_number:
                continue
            shapes: dict[str, list[int]] = {}
            inner = [field for field in fields(content, part.start, part.end) if not field.is_number]
            for field in inner:
                if part.number == GRAPH and field.number == INITIALIZER:
                    shapes |= _require_tensor(path, content, field)
            for field in inner:
                if field.number == NODES[part.number]:
                    _require_node(path, content, field, shapes)


def require_numbers(path: Path) -> None:
    """Raise BundleError if a weight in an ONNX file is NaN; the message names the first such tensor.

    Infinity is accepted: attention masks hold it.
    """
    with _mapped(path) as content:
        for graph in fields(content, 0, len(content)):
            for tensor in fields(content, graph.start, graph.end) if graph.number == GRAPH else ():
                if tensor.number == INITIALIZER and _holds_nan(content, tensor):
                    name = _name(content, tensor)
                    raise BundleError(f"{path} cannot be used: its weight '{name}' holds NaN; export the network again")


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap]:
    if not path.is_file() or path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        yield content


def _require_tensor(path: Path, content: bytes | mmap, tensor: Field) -> dict[str, list[int]]:
    """Refuse a tensor that is elsewhere or larger than its bytes; return a small one of whole numbers by its name."""
    inner = list(fields(content, tensor.start, tensor.end))
    name = next((_text(content, field) for field in inner if field.number == NAME), "?")
    kind = next((field.value for field in inner if field.number == DATA_TYPE), 0)
    sides = [side for field in inner if field.number == DIMS for side in numbers(content, field)]
    kept = [field for field in inner if field.number in CONTENTS]
    held = sum(8 if field.is_number else field.end - field.start for field in kept)
    if any(field.number == LOCATION and field.value for field in inner):
        raise BundleError(f"{path} keeps its weight '{name}' in another file; export it again")
    if kind in ITEM_BYTES and (min(sides, default=1) < 0 or prod(sides) > 8 * max(1, held)):
        declared = "×".join(map(str, sides))
        raise BundleError(f"{path} declares a weight of {declared} values in {held:,} bytes; export it again")
    if kind != INT64 or held > 10 * SMALL:
        return {}
    values = [value for field in kept if field.number == INT64_DATA for value in numbers(content, field)]
    raw = b"".join(bytes(content[field.start : field.end]) for field in kept if field.number == RAW_DATA)
    return {name: values + np.frombuffer(raw, "<i8", len(raw) // 8).tolist()}


def _require_node(path: Path, content: bytes | mmap, node: Field, shapes: dict[str, list[int]]) -> None:
    """Refuse a node with a graph inside, or one that makes too much of a constant shape."""
    inputs: list[str] = []
    operator = output = ""
    made: Mapping[str, list[int]] = {}
    for field in fields(content, node.start, node.end):
        if field.number == OPERATOR:
            operator = _text(content, field)
        elif field.number == INPUT:
            inputs.append(_text(content, field))
        elif field.number == OUTPUT:
            output = output or _text(content, field)
        elif field.number == ATTRIBUTE:
            for inner in fields(content, field.start, field.end):
                if inner.number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS) and not inner.is_number:
                    raise BundleError(f"{path} has a loop or a branch, which `export` never writes; it is not opened")
                if inner.number == ATTRIBUTE_TENSOR and not inner.is_number:
                    made = _require_tensor(path, content, inner)
    if operator in SHAPES and len(inputs) > SHAPES[operator]:
        sizes = shapes.get(inputs[SHAPES[operator]], [])
        if prod(max(1, size) for size in sizes) > MOST_VALUES:
            shown = "×".join(map(str, sizes))
            raise BundleError(f"{path} makes {shown} values by {operator}; {MOST_VALUES:,} at most are computed")
    if operator == "Constant" and made:
        (shapes[output],) = made.values()


def _holds_nan(content: bytes | mmap, tensor: Field) -> bool:
    inner = list(fields(content, tensor.start, tensor.end))
    kind = next((field.value for field in inner if field.number == DATA_TYPE), 0)
    if kind not in FLOATS:
        return False
    dtype = np.dtype(FLOATS[kind])
    for field in inner:
        if field.number in CONTENTS:
            count = (field.end - field.start) // dtype.itemsize
            if np.isnan(np.frombuffer(content, dtype, count, field.start)).any():
                return True
    return False


def _name(content: bytes | mmap, tensor: Field) -> str:
    return next((_text(content, f) for f in fields(content, tensor.start, tensor.end) if f.number == NAME), "?")


def _text(content: bytes | mmap, field: Field) -> str:
    return bytes(content[field.start : field.end]).decode(errors="replace")

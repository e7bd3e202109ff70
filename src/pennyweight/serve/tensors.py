"""Tensors of the Open Inference Protocol v2: JSON, and binary data behind it (the extension of Triton's clients)."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import PennyweightError
from pennyweight.core.reading import parse_json
from pennyweight.serve.failures import RequestError

__all__ = ["HEAD_LENGTH", "Asked", "Tensor", "parse_request", "write_response"]

HEAD_LENGTH = "inference-header-content-length"
"""Header with the length of the JSON, behind which binary data follow."""
NUMBERS: Mapping[str, Any] = {"UINT8": np.uint8}
LENGTH = struct.Struct("<I")
MOST_OUTPUTS = 100


@dataclass(frozen=True)
class Tensor:
    """Named tensor: numbers, or a list of BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: NDArray[Any] | Sequence[bytes]


@dataclass(frozen=True)
class Asked:
    """Output that a request asks for."""

    name: str
    binary: bool
    classes: int = 0
    """Number of classes in place of the numbers, from Triton's extension for classification; 0 for the numbers."""


@dataclass(frozen=True)
class InferRequest:
    """Request to infer."""

    id: str | None
    inputs: Sequence[Tensor]
    outputs: Sequence[Asked]
    binary: bool
    """True if outputs that are not named are to be binary."""


def parse_request(body: bytes, head_length: str | None) -> InferRequest:
    """Parse the body of a request.

    Args:
        body: JSON, and binary data behind it.
        head_length: Text of the header HEAD_LENGTH; None for a body of JSON alone.

    Raises:
        RequestError: The body is not as the protocol has it (400).
    """
    length = len(body)
    if head_length is not None:
        if not (head_length.isascii() and head_length.isdecimal() and int(head_length[:20]) <= len(body)):
            raise _wrong(f"the header Inference-Header-Content-Length is {head_length[:40]}, of {len(body):,} bytes")
        length = int(head_length)
    try:
        values = parse_json(body[:length], "the request")
    except PennyweightError as error:
        raise _wrong(str(error)) from error
    identity = values.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _wrong("id must be a text")
    binary = _parameters(values, "the request").get("binary_data_output", False)
    if not isinstance(binary, bool):
        raise _wrong("binary_data_output must be true or false")
    rest = memoryview(body)[length:]
    inputs, used = [], 0
    for given in _objects(values, "inputs"):
        tensor, size = _input(given, rest[used:])
        inputs.append(tensor)
        used += size
    if used != len(rest):
        raise _wrong(f"{len(rest):,} bytes of binary data follow the JSON, and the inputs declare {used:,}")
    outputs = [_asked(given, binary=binary) for given in _objects(values, "outputs", optional=True)]
    return InferRequest(identity, inputs, outputs, binary)


def _input(given: Mapping[str, Any], rest: memoryview) -> tuple[Tensor, int]:
    """Return an input, and the number of its bytes in `rest`."""
    name, datatype, shape = given.get("name"), given.get("datatype"), given.get("shape")
    if not isinstance(name, str) or not isinstance(datatype, str):
        raise _wrong("an input has a name and a datatype, which are texts")
    name, datatype = name[:100], datatype[:20]
    whole = isinstance(shape, list) and all(isinstance(side, int) and not isinstance(side, bool) for side in shape)
    if (
        not whole
        or not isinstance(shape, list)
        or not shape
        or len(shape) > 8
        or min(shape) < 1
        or max(shape) > 1 << 31
    ):
        raise _wrong(f"the shape of '{name}' must be a list of whole numbers of 1 or more")
    size = _parameters(given, f"'{name}'").get("binary_data_size")
    if size is None:
        return Tensor(name, datatype, tuple(shape), _from_json(name, datatype, shape, given.get("data"))), 0
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest):
        raise _wrong(f"binary_data_size of '{name}' is beyond the {len(rest):,} bytes that follow the JSON")
    return Tensor(name, datatype, tuple(shape), _from_binary(name, datatype, shape, rest[:size])), size


def _from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> NDArray[Any] | Sequence[bytes]:
    if not isinstance(data, list):
        raise _wrong(f"'{name}' has neither data, which is a list, nor binary_data_size")
    if datatype == "BYTES":
        flat = data if all(isinstance(one, str) for one in data) else [
            inner for one in data for inner in (one if isinstance(one, list) else [one])
        ]  # fmt: skip
        _require_count(name, shape, len(flat))
        return [_from_base64(name, one) for one in flat]
    kind = _kind(name, datatype)
    try:
        array = np.array(data)
    except (ValueError, OverflowError, RecursionError) as error:
        raise _wrong(f"the data of '{name}' are not numbers in nested lists of equal lengths") from error
    _require_count(name, shape, array.size)
    limits = np.iinfo(kind)
    if array.dtype.kind not in "iu" or array.min() < limits.min or array.max() > limits.max:
        raise _wrong(f"the data of '{name}' must be whole numbers from {limits.min} to {limits.max}")
    found: NDArray[Any] = array.astype(kind).reshape(shape)
    return found


def _from_binary(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> NDArray[Any] | Sequence[bytes]:
    if datatype == "BYTES":
        texts = list(_texts(name, data))
        _require_count(name, shape, len(texts))
        return texts
    kind = np.dtype(_kind(name, datatype))
    if len(data) != prod(shape) * kind.itemsize:
        raise _wrong(f"'{name}' of shape {list(shape)} has {prod(shape) * kind.itemsize:,} bytes, not {len(data):,}")
    return np.frombuffer(data, kind).reshape(shape)


def _texts(name: str, data: memoryview) -> Iterator[bytes]:
    """Yield the elements of binary BYTES, each behind its length in four bytes."""
    place = 0
    while place < len(data):
        if place + LENGTH.size > len(data):
            raise _wrong(f"the binary data of '{name}' end within a length")
        (size,) = LENGTH.unpack_from(data, place)
        place += LENGTH.size
        if place + size > len(data):
            raise _wrong(f"an element of '{name}' has {size:,} bytes, of which {len(data) - place:,} were sent")
        yield bytes(data[place : place + size])
        place += size


def _from_base64(name: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _wrong(f"the data of '{name}' must be picture files in base64") from error


def _asked(given: Mapping[str, Any], *, binary: bool) -> Asked:
    name, parameters = given.get("name"), _parameters(given, "an output")
    if not isinstance(name, str):
        raise _wrong("an output has a name, which is a text")
    classes, wanted = parameters.get("classification", 0), parameters.get("binary_data", binary)
    if not isinstance(classes, int) or isinstance(classes, bool) or not 0 <= classes <= 1 << 31:
        raise _wrong(f"classification of '{name[:100]}' must be a whole number of classes")
    if not isinstance(wanted, bool):
        raise _wrong(f"binary_data of '{name[:100]}' must be true or false")
    return Asked(name[:100], wanted, classes)


def _objects(values: Mapping[str, Any], name: str, *, optional: bool = False) -> Sequence[Mapping[str, Any]]:
    given = values.get(name, [] if optional else None)
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given) or len(given) > MOST_OUTPUTS:
        raise _wrong(f"{name} must be a list of objects")
    return given


def _parameters(values: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    found = values.get("parameters", {})
    if not isinstance(found, dict):
        raise _wrong(f"the parameters of {what} must be an object")
    return found


def _kind(name: str, datatype: str) -> Any:
    if datatype not in NUMBERS:
        raise _wrong(
            f"'{name}' is UINT8, with pixels from 0 to 255, or BYTES, with picture files; it is not {datatype}"
        )
    return NUMBERS[datatype]


def _require_count(name: str, shape: Sequence[int], count: int) -> None:
    if count != prod(shape):
        raise _wrong(f"'{name}' of shape {list(shape)} has {prod(shape):,} values, not {count:,}")


def _wrong(message: str) -> RequestError:
    return RequestError(400, message)


def write_response(head: Mapping[str, Any], outputs: Sequence[tuple[Tensor, bool]]) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer and its headers.

    Args:
        head: Fields of the answer besides its outputs.
        outputs: Outputs, and whether each one is binary.
    """
    described, parts = [], []
    for tensor, binary in outputs:
        row: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary:
            parts.append(_as_binary(tensor.values))
            row["parameters"] = {"binary_data_size": len(parts[-1])}
        elif isinstance(tensor.values, np.ndarray):
            row["data"] = tensor.values.ravel().tolist()
        else:
            row["data"] = [value.decode("utf-8", "replace") for value in tensor.values]
        described.append(row)
    text = json.dumps({**head, "outputs": described}, allow_nan=False, separators=(",", ":")).encode("ascii")
    if not parts:
        return text, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEAD_LENGTH: str(len(text))}
    return b"".join((text, *parts)), headers


def _as_binary(values: NDArray[Any] | Sequence[bytes]) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    return b"".join(LENGTH.pack(len(value)) + value for value in values)

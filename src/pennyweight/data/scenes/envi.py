"""Read and write ENVI rasters: a raw file and a text header. Cubes of any interleave are memory-mapped.

Fields of the header: L3Harris, "ENVI Header Files".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.files import atomic, write_text
from pennyweight.core.reading import reading

__all__ = ["PLACE_FIELDS", "bad_bands", "has_header", "ignored_value", "read_envi", "read_header", "write_envi"]

TYPES = {
    1: "u1",
    2: "i2",
    3: "i4",
    4: "f4",
    5: "f8",
    12: "u2",
    13: "u4",
    14: "i8",
    15: "u8",
}
BYTE_ORDERS = {"0": "<", "1": ">"}
INTERLEAVES = {
    "bsq": ("bands", "lines", "samples"),
    "bil": ("lines", "bands", "samples"),
    "bip": ("lines", "samples", "bands"),
}
RAW_SUFFIXES = ("", ".img", ".raw", ".dat", ".bin", ".bsq", ".bil", ".bip", ".rfl", ".rdn")
MAX_HEADER = 1 << 24
"""Most characters of a header; wavelengths and names of thousands of bands take a tenth of it."""
PLACE_FIELDS = ("map info", "coordinate system string", "projection info", "x start", "y start")
"""Fields of the georeference, which a map of the scene keeps."""


def read_header(path: Path) -> dict[str, str]:
    """Read the fields of a .hdr file, with names in lower case; braces stay in the values, comments and blanks do not.

    A comment follows a semicolon: on a line of its own, or behind a value that has no braces.
    """
    with reading(path), path.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(MAX_HEADER + 1)
        if len(text) > MAX_HEADER:
            raise ValueError(f"a header has at most {MAX_HEADER:,} characters")
    if not text.lstrip().startswith("ENVI"):
        raise SourceError(f"{path} is not an ENVI header: its first line must be ENVI")
    fields: dict[str, list[str]] = {}
    value: list[str] = []
    depth = 0
    for line in text.splitlines()[1:]:
        if line.lstrip().startswith(";"):
            continue
        part = line
        if depth <= 0:
            name, equals, part = line.partition("=")
            if not equals:
                continue
            part = part if "{" in part else part.partition(";")[0]
            depth = 0
            value = fields[name.strip().lower()] = []
        depth += part.count("{") - part.count("}")
        value.append(part.strip() if depth > 0 else _until_brace(part))
    joined = {name: " ".join(parts).strip() for name, parts in fields.items()}
    return {name: text for name, text in joined.items() if text.strip("{} ")}


def _until_brace(part: str) -> str:
    """Cut the comment behind a closing brace."""
    inside, brace, _ = part.rpartition("}")
    return (inside + brace if brace else part).strip()


def _scalar(fields: Mapping[str, str], name: str, default: str | None = None) -> str:
    """Return a field without braces. Raises KeyError for a missing one that has no default."""
    return (fields[name] if default is None else fields.get(name, default)).strip("{} ")


def read_envi(path: Path) -> tuple[NDArray[Any], dict[str, str]]:
    """Read a raster by its header or its raw file: (lines, samples, bands), memory-mapped, and the header's fields."""
    header = path if path.suffix.lower() == ".hdr" else _header_of(path)
    fields = read_header(header)
    try:
        sides = {name: _whole(_scalar(fields, name), 1) for name in ("lines", "samples", "bands")}
        kind = TYPES[int(_scalar(fields, "data type"))]
        order = INTERLEAVES[_scalar(fields, "interleave", "bsq").lower()]
        offset = _whole(_scalar(fields, "header offset", "0"), 0)
        order_of_bytes = BYTE_ORDERS[_scalar(fields, "byte order", "0")]
    except (KeyError, ValueError) as error:
        raise SourceError(
            f"{header} is not a readable header ({type(error).__name__} {error}); it needs lines, samples and "
            "bands of 1 or more, a data type that is not complex, interleave bsq, bil or bip, and byte order 0 or 1"
        ) from error
    raw = _raw_of(header)
    dtype = np.dtype(order_of_bytes + kind)
    needed = offset + dtype.itemsize * math.prod(sides.values())
    if raw.stat().st_size < needed:
        raise SourceError(f"{raw} has {raw.stat().st_size:,} bytes, and {header.name} declares {needed:,}")
    with reading(raw):
        mapped = np.memmap(raw, dtype, "r", offset, shape=tuple(sides[name] for name in order))
    cube = mapped.transpose([order.index(name) for name in ("lines", "samples", "bands")])
    return cube, fields


def _whole(text: str, least: int) -> int:
    """Return the whole number in a field. Raises ValueError for a number below `least`."""
    if (value := int(text)) < least:
        raise ValueError(f"{text} is below {least}")
    return value


def ignored_value(fields: Mapping[str, str], path: Path) -> float | None:
    """Return the value that stands for no data; None without one. Raises SourceError for anything but a number."""
    text = fields.get("data ignore value", "").strip("{} ")
    try:
        value = float(text or "nan")
    except ValueError as error:
        raise SourceError(f"{path} has a data ignore value that is not a number: {text}") from error
    return value if math.isfinite(value) else None


def bad_bands(text: str, bands: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Read a list of bad bands (`bbl`), in which 0 marks a bad band; return their numbers from 0, and notes."""
    marks = [mark.strip() for mark in text.strip("{} ").split(",") if mark.strip()]
    if not marks:
        return (), ()
    try:
        bad = tuple(number for number, mark in enumerate(marks) if float(mark) == 0)
    except ValueError:
        return (), ("the list of bad bands (bbl) is not used: it holds more than numbers",)
    if len(marks) != bands:
        return (), (f"the list of bad bands (bbl) is not used: it has {len(marks)} values for {bands} bands",)
    if len(bad) == bands:
        return (), ("the list of bad bands (bbl) is not used: it marks every band",)
    return bad, ()


def write_envi(path: Path, values: NDArray[Any], fields: dict[str, str]) -> None:
    """Write (H, W) or (H, W, bands) band by band to `path` (.img), and its header; each file is whole or absent."""
    cube = np.atleast_3d(values)
    codes = {kind: code for code, kind in TYPES.items()}
    height, width, bands = cube.shape
    own = {
        "samples": width,
        "lines": height,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": codes[cube.dtype.str[1:]],
        "interleave": "bsq",
        "byte order": 0,
    }
    with atomic(path) as temporary:
        temporary.write_bytes(np.ascontiguousarray(cube.transpose(2, 0, 1)).tobytes())
    lines = [f"{name} = {value}" for name, value in {**fields, **own}.items()]
    write_text(path.with_suffix(".hdr"), "\n".join(["ENVI", *lines]) + "\n")


def has_header(raw: Path) -> bool:
    """Return true for a file of any other name, or of none, that has an ENVI header called NAME.hdr."""
    return raw.is_file() and _same_name(raw.with_name(raw.name + ".hdr")) is not None


def _header_of(raw: Path) -> Path:
    for candidate in (raw.with_suffix(".hdr"), raw.with_name(raw.name + ".hdr")):
        if found := _same_name(candidate):
            return found
    raise SourceError(f"{raw} has no header: there is no {raw.with_suffix('.hdr').name} next to it")


def _raw_of(header: Path) -> Path:
    for suffix in RAW_SUFFIXES:
        if found := _same_name(header.with_suffix(suffix)):
            return found
    raise SourceError(f"{header} has no raw file next to it, such as {header.with_suffix('.img').name}")


def _same_name(path: Path) -> Path | None:
    """Return the file of that name, else one whose name differs in the case of its suffix only; None without any."""
    for suffix in (path.suffix, path.suffix.upper()):
        if (candidate := path.with_suffix(suffix)).is_file():
            return candidate
    return None

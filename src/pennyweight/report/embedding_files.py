"""Features of pictures as files that other programs read: Parquet with names, or a NumPy array."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.core.files import atomic, require_new
from pennyweight.core.text import as_utf8

__all__ = ["FORMATS", "open_embeddings", "require_format"]

Row = tuple[str, NDArray[np.float32] | str]
"""Name of a picture with its features, or with the reason that it has none."""
Write = Callable[[Sequence[Row]], None]
GROUP = 1000
"""Rows that are written together."""


def require_format(path: Path) -> None:
    """Raise InputError for a file that exists, or whose ending names no format."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--embeddings {path} ends in neither {' nor '.join(FORMATS)}; name a file that does")
    require_new(path)


@contextmanager
def open_embeddings(path: Path, length: int) -> Iterator[Callable[[Row], None]]:
    """Yield a function that takes a row for each picture; the file appears at `path` after the last row."""
    waiting: list[Row] = []
    with atomic(path) as temporary, FORMATS[path.suffix.lower()](temporary, length) as write:

        def take(row: Row) -> None:
            waiting.append(row)
            if len(waiting) == GROUP:
                write(waiting)
                waiting.clear()

        yield take
        write(waiting)


@contextmanager
def _parquet(path: Path, length: int) -> Iterator[Write]:
    import pyarrow
    from pyarrow import parquet

    kinds: dict[str, Any] = {
        "source": pyarrow.string(),
        "features": pyarrow.list_(pyarrow.float32(), length),
        "error": pyarrow.string(),
    }
    schema = pyarrow.schema(kinds)
    with parquet.ParquetWriter(path, schema) as writer:

        def write(rows: Sequence[Row]) -> None:
            table = [
                {"source": as_utf8(name), "error": as_utf8(found)}
                if isinstance(found, str)
                else {"source": as_utf8(name), "features": found}
                for name, found in rows
            ]
            writer.write_table(pyarrow.Table.from_pylist(table, schema))

        yield write


@contextmanager
def _numpy(path: Path, length: int) -> Iterator[Write]:
    """Write the rows first, and then a header that knows their number; a picture without features is a row of NaN."""
    rows_path, count = path.with_name(f"{path.name}.rows"), 0
    try:
        with rows_path.open("wb") as file:

            def write(rows: Sequence[Row]) -> None:
                nonlocal count
                count += len(rows)
                for _, found in rows:
                    file.write((np.full(length, np.nan, np.float32) if isinstance(found, str) else found).tobytes())

            yield write
        with path.open("wb") as whole, rows_path.open("rb") as content:
            shape: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (count, length)}
            np.lib.format.write_array_header_1_0(whole, shape)
            shutil.copyfileobj(content, whole, 1 << 20)
    finally:
        rows_path.unlink(missing_ok=True)


FORMATS: Mapping[str, Callable[[Path, int], AbstractContextManager[Write]]] = {".parquet": _parquet, ".npy": _numpy}
"""Ending of a file -> function that writes its format."""

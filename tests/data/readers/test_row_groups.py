"""Row groups of Parquet files: what is held of them is bounded in bytes."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.readers import row_groups, shard_store
from pennyweight.data.readers.row_groups import KeptGroups, batches, largest_group
from pennyweight.data.readers.shard import Shard


def write(path: Path, rows: int, size: int, group: int) -> Path:
    """Write a table of rows of `size` bytes each, all different."""
    pictures = [bytes([number % 256]) * size for number in range(rows)]
    pq.write_table(pa.table({"image": pictures, "label": list(range(rows))}), path, group, use_dictionary=False)
    return path


@pytest.mark.parametrize(("size", "most"), [(300_000, 3), (1_100_000, 1), (10, 32)])
def test_a_batch_has_a_megabyte_at_most(tmp_path: Path, size: int, most: int) -> None:
    path = write(tmp_path / "a.parquet", 40, size, 40)
    table = pq.ParquetFile(path)
    read = list(batches(table, 1 << 40, ["image"]))
    assert max(len(batch) for batch in read) == most
    assert [value[:1] for batch in read for value in batch.column(0).to_pylist()] == [bytes([n]) for n in range(40)]


def test_row_groups_are_read_in_their_order(tmp_path: Path) -> None:
    table = pq.ParquetFile(write(tmp_path / "a.parquet", 25, 10, 10))
    assert [row for batch in batches(table, 1 << 20, ["label"]) for row in batch.column(0).to_pylist()] == [*range(25)]
    chosen = [row for batch in batches(table, 1 << 20, ["label"], [2, 0]) for row in batch.column(0).to_pylist()]
    assert chosen == [*range(20, 25), *range(10)]
    assert largest_group(table) > 10 * 10


def test_kept_row_groups_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept, read = write(tmp_path / "a.parquet", 40, 1000, 10), KeptGroups(), list[int]()
    inner = row_groups._read_column

    def counted(path: Path, column: str, group: int) -> Any:
        read.append(group)
        return inner(path, column, group)

    monkeypatch.setattr(row_groups, "_read_column", counted)
    monkeypatch.setattr(row_groups, "KEPT_BYTES", 25_000)  # two groups
    for group in (0, 1, 0, 2, 0, 1):
        assert kept.column(path, "image", group)[0].as_py() == bytes([10 * group]) * 1000
    assert read == [0, 1, 2, 1]
    monkeypatch.setattr(row_groups, "KEPT_BYTES", 1)
    for group in (3, 3, 2):
        kept.column(path, "image", group)
    assert read == [0, 1, 2, 1, 3, 2]


def test_tables_with_large_row_groups_are_indexed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    names = ["train-0", "train-1", "val-0", "test-0"]
    for name in names:
        rows = pa.table({"image": [file.getvalue() + bytes([n]) for n in range(4)], "label": [0, 1, 0, 1]})
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    reading, peak, lock, inner = [0], [0], threading.Lock(), shard_store.read_shard

    def watched(shard: Shard, *arguments: Any, **options: Any) -> Any:
        with lock:
            reading[0] += 1
            peak[0] = max(peak[0], reading[0])
        time.sleep(0.05)
        try:
            return inner(shard, *arguments, **options)
        finally:
            with lock:
                reading[0] -= 1

    monkeypatch.setattr(shard_store, "read_shard", watched)
    monkeypatch.setattr(shard_store, "cores", lambda: 4)
    monkeypatch.setattr(shard_store, "HELD_BYTES", 1)
    assert len(data.open(f"{tmp_path}/{{{','.join(names)}}}.parquet").samples) == 16
    assert peak[0] == 1

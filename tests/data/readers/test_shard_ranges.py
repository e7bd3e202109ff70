"""Parts of shards: a picture is read alone from where the index says that it lies."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight.core.errors import SourceError
from pennyweight.data.readers.shard import Shard


def test_a_picture_of_a_tar_lies_where_its_place_says(tmp_path: Path, write_shards: Callable[..., str]) -> None:
    write_shards(tmp_path, {"train": [12]})
    shard = Shard(str(tmp_path / "train-000.tar"), None)
    examples = list(shard.examples())
    for example in examples:
        assert shard.read(example.place, example.place + len(example.picture)) == example.picture
    with pytest.raises(SourceError, match=r"train-000\.tar has changed since .* it ends at byte \d+"):
        shard.read(examples[-1].place, 1 << 20)


def test_a_row_group_of_a_table_is_read_alone(tmp_path: Path) -> None:
    def png(level: int) -> dict[str, Any]:
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    path = tmp_path / "train-0.parquet"
    rows = pa.table({"image": [png(level) for level in range(25)], "label": [level % 2 for level in range(25)]})
    pq.write_table(rows, path, row_group_size=10)
    shard = Shard(str(path), None)
    examples = list(shard.examples())
    assert [example.place for example in examples] == [0] * 10 + [1] * 10 + [2] * 5
    assert list(shard.group(1)) == [example.picture for example in examples[10:20]]

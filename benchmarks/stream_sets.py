"""Sets of shards for the benchmarks of streams: samples in any order as tars, as Parquet, and as the peers' formats."""

import functools
import io
import re
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Rows", "read_rows", "serve", "write_mds", "write_table", "write_tars"]

Rows = Sequence[tuple[bytes, int]]
"""Picture file and class of each sample."""


def read_rows(folder: Path, split: str) -> Rows:
    """Return the samples of a split of a folder: its Parquet files, or its class folders of photographs."""
    if tables := sorted(folder.glob(f"{split}-*.parquet")):
        return [(row["image"]["bytes"], row["label"]) for file in tables for row in pq.read_table(file).to_pylist()]
    classes = sorted(path for path in (folder / split).iterdir() if path.is_dir())
    return [(file.read_bytes(), number) for number, path in enumerate(classes) for file in sorted(path.iterdir())]


def write_tars(folder: Path, rows: Rows, *, files: int = 1, split: str = "train") -> str:
    """Write samples in their order as `files` WebDataset tars, and return their address."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), files)):
        with tarfile.open(folder / f"{split}-{number:02d}.tar", "w") as tape:
            for place in part.tolist():
                for ending, content in (("jpg", rows[place][0]), ("cls", str(rows[place][1]).encode())):
                    info = tarfile.TarInfo(f"{place:06d}.{ending}")
                    info.size = len(content)
                    tape.addfile(info, io.BytesIO(content))
    return str(folder / f"{split}-{{00..{files - 1:02d}}}.tar")


def write_table(folder: Path, rows: Rows, *, group: int = 1000, split: str = "train") -> str:
    """Write samples in their order as one Parquet file with row groups of `group`, and return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, labels = zip(*rows, strict=True)
    table = pa.table({"image": [{"bytes": one, "path": None} for one in pictures], "label": list(labels)})
    pq.write_table(table, folder / f"{split}-00.parquet", row_group_size=group)
    return f"{split}-00.parquet"


def write_mds(folder: Path, rows: Rows, *, bytes_a_shard: int) -> Path:
    """Write samples in their order as the shards of mosaicml-streaming, and return their folder."""
    from streaming import MDSWriter

    with MDSWriter(out=str(folder), columns={"picture": "bytes", "label": "int"}, size_limit=bytes_a_shard) as out:
        for picture, label in rows:
            out.write({"picture": picture, "label": int(label)})
    return folder


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(self.server.delay_s)  # type: ignore[attr-defined]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        size = path.stat().st_size
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        with path.open("rb") as file:
            file.seek(first)
            content = file.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serve(folder: Path, delay_s: float = 0.0) -> Iterator[str]:
    """Serve a folder over http with ranges, each answer after `delay_s`; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    server.delay_s = delay_s  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

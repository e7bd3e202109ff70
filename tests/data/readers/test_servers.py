"""Shards from servers on the loopback: http, S3 and a hub; and what is said when one fails."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core import retries
from pennyweight.core.errors import SourceError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Stream
from pennyweight.data.readers.shard import Shard

MISSING = [package for package in ("fsspec", "aiohttp") if find_spec(package) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason="streams need the extra scale"),
]

PREPROCESS = Preprocess(size=8, resize=8)
PLAIN = Augment(flip=False, shift=0.0)
COUNTS = {"train": [150, 150], "val": [40], "test": [40]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retries, "WAIT_S", 0.0)


@pytest.fixture
def local(tmp_path: Path, write_shards: Callable[..., str]) -> Path:
    write_shards(tmp_path / "shelf" / "colours", COUNTS)
    return tmp_path / "shelf"


class Server(ThreadingHTTPServer):
    """Serves a folder; after `left` more bytes it cuts every connection, or one where it `recovers`."""

    ranges = True
    left: float = float("inf")
    recovers = False
    cut: int = 0


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not self.server.ranges or asked is None or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{path.stat().st_size}")
        self.end_headers()
        self.copyfile(io.BytesIO(content), self.wfile)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        while chunk := source.read(4096):
            if self.server.left < len(chunk):
                self.server.cut += 1
                self.server.left = float("inf") if self.server.recovers else self.server.left
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.server.left -= len(chunk)
            outputfile.write(chunk)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def http(local: Path) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), partial(Handler, directory=str(local)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(local: Path, s3_bucket: str) -> str:
    import boto3

    client = boto3.client("s3")
    for path in (local / "colours").iterdir():
        client.upload_file(str(path), s3_bucket.removeprefix("s3://"), f"colours/{path.name}")
    return f"{s3_bucket}/colours/{{train-{{000..001}},val-000,test-000}}.tar"


def address_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/colours/{{train-{{000..001}},val-000,test-000}}.tar"


def bytes_of(address: str, **options: int) -> list[bytes]:
    one = Stream(address, PREPROCESS, **options)
    return [batch.pixels.tobytes() for batch in one.epoch(1, batch=16, seed=0, augment=PLAIN, start=3)]


def test_http_gives_the_same_batches_as_the_disk(http: Server, local: Path) -> None:
    there = address_of(http)
    here = str(local / "colours" / "{train-{000..001},val-000,test-000}.tar")
    assert data.open(there).fingerprint == data.open(here).fingerprint
    assert data.open(there).name == "colours"
    assert bytes_of(there) == bytes_of(here)
    assert bytes_of(there, rank=1, world=2) == bytes_of(here, rank=1, world=2)


def test_a_server_without_ranges_gives_every_picture_once(http: Server, local: Path) -> None:
    http.ranges = False
    batches = list(Stream(address_of(http), PREPROCESS).epoch(1, batch=16, seed=0, augment=PLAIN))
    ids = np.concatenate([np.asarray(batch.pixels)[:, 0, 0].astype(int) @ [1, 256, 65536] for batch in batches])
    assert sorted(ids.tolist()) == list(range(300))
    whole = bytes_of(address_of(http))
    assert whole == bytes_of(address_of(http))
    assert whole == [batch.pixels.tobytes() for batch in batches[3:]]


def test_s3_gives_the_same_batches_as_the_disk(s3: str, local: Path) -> None:
    here = str(local / "colours" / "{train-{000..001},val-000,test-000}.tar")
    assert data.open(s3).fingerprint == data.open(here).fingerprint
    assert bytes_of(s3) == bytes_of(here)
    with pytest.raises(SourceError, match=r"cannot read s3://shelf/colours/train-002\.tar: there is no such file"):
        data.open(s3.replace("train-{000..001}", "train-{000..002}"))
    with pytest.raises(SourceError, match=r"cannot read s3://nowhere/train-0\.tar: "):
        data.open("s3://nowhere/train-0.tar")


def one_line(address: str) -> str:
    with pytest.raises(SourceError) as raised:
        data.open(address)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_missing_shard_is_named(http: Server) -> None:
    missing = address_of(http).replace("000..001", "000..002")
    assert (
        one_line(missing)
        == f"cannot read http://127.0.0.1:{http.server_port}/colours/train-002.tar: there is no such file"
    )


def test_a_server_that_is_not_there(http: Server, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = one_line(f"http://127.0.0.1:{port}/colours/train-{{0..3}}.tar")
    assert said.startswith(f"cannot read http://127.0.0.1:{port}/colours/train-0.tar: Cannot connect to host")


def test_a_connection_that_breaks_once_is_taken_up_again(http: Server, local: Path) -> None:
    http.left, http.recovers = 60_000, True
    there = data.open(address_of(http))
    assert http.cut == 1
    assert there.fingerprint == data.open(str(local / "colours")).fingerprint


def test_an_answer_that_is_cut_is_asked_for_again(http: Server, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cut = Shard(address_of(http), None)._locate()[0], set[tuple[str, int]]()
    whole = files.cat_file

    def cat_file(path: str, *, start: int, end: int, **options: Any) -> bytes:
        content: bytes = whole(path, start=start, end=end, **options)
        if (path, start) in cut:
            return content
        cut.add((path, start))
        return content[:-1]

    expected = bytes_of(str(local / "colours" / "{train-{000..001},val-000,test-000}.tar"))
    one = Stream(address_of(http), PREPROCESS)
    monkeypatch.setattr(files, "cat_file", cat_file)
    assert [batch.pixels.tobytes() for batch in one.epoch(1, batch=16, seed=0, augment=PLAIN, start=3)] == expected
    assert cut
    monkeypatch.setattr(files, "cat_file", lambda *_, **__: b"")
    with pytest.raises(SourceError, match=r"cannot read http://.*: it has changed since .* it ends at byte \d+"):
        list(one.epoch(1, batch=16, seed=0, augment=PLAIN))


def test_a_server_that_dies_in_the_middle_leaves_nothing_half_known(http: Server, tmp_path: Path) -> None:
    http.left = 60_000
    said = one_line(address_of(http))
    assert http.cut
    assert re.match(rf"cannot read http://127.0.0.1:{http.server_port}/colours/[a-z]+-00\d\.tar: ", said)
    assert not list((tmp_path / "cache" / "streams").glob("*.npz"))
    http.left = float("inf")
    assert len(data.open(address_of(http)).samples) == 380


def test_a_server_that_dies_in_an_epoch_is_named_and_the_epoch_goes_on(http: Server, local: Path) -> None:
    address = address_of(http)
    one = Stream(address, PREPROCESS)
    http.left = 120_000
    before: list[bytes] = []
    with pytest.raises(SourceError, match=r"cannot read http://.*train-00[01]\.tar: "):
        before += (batch.pixels.tobytes() for batch in one.epoch(1, batch=16, seed=0, augment=PLAIN))
    http.left = float("inf")
    other = Stream(address, PREPROCESS)
    other.resume(one.state())
    after = [batch.pixels.tobytes() for batch in other.epoch(1, batch=16, seed=0, augment=PLAIN)]
    assert before + after == [batch.pixels.tobytes() for batch in other.epoch(1, batch=16, seed=0, augment=PLAIN)]


def test_a_torn_shard_is_named(local: Path) -> None:
    shard = local / "colours" / "train-001.tar"
    shard.write_bytes(shard.read_bytes()[:100_000])
    assert one_line(str(local / "colours")).startswith(f"cannot read {shard}: ")
    shard.write_bytes(b"no archive at all")
    assert one_line(str(local / "colours")).startswith(f"cannot read {shard}: ")


# A hub's sets, and folders that are kept as one keeps them


def test_a_folder_as_the_hub_keeps_it(local: Path) -> None:
    opened = data.open(f"hf:{local / 'colours'}")
    assert opened.fingerprint == data.open(str(local / "colours")).fingerprint
    assert data.split(opened).counts == {"train": 300, "val": 40, "test": 40}


def test_parquet_of_the_hub_names_its_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="a hub's set needs the extra scale")
    folder = tmp_path / "hub" / "set" / "data"
    folder.mkdir(parents=True)
    for seed, split in enumerate(("train", "validation", "test", "unlabelled")):
        rows = []
        for number in range(30):
            file = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), (number, seed, 0), np.uint8)).save(file, "PNG")
            rows.append({"bytes": file.getvalue(), "path": None})
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["hen", "cat"])})
        made = datasets.Dataset.from_dict({"image": rows, "label": [n % 2 for n in range(30)]}, features=features)
        made.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    opened = data.open(f"hf:{folder.parent}")
    assert opened.labels == ("hen", "cat")
    assert "skipped its part 'unlabelled', which is not a split" in opened.notes
    assert data.split(opened).counts == {"train": 30, "val": 30, "test": 30}
    shown = Stream(opened, PREPROCESS).epoch(1, batch=8, seed=0, augment=PLAIN)
    assert all((batch.pixels[:, 0, 0, 0] % 2 == batch.targets).all() for batch in shown)


class Hub(BaseHTTPRequestHandler):
    """What a hub says of one set, `owner/set`, whose files lie in `folder`."""

    folder: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0"} for f in self.folder.iterdir()]
        if path.startswith("/api/datasets/owner/set/tree/"):
            self.answer(200, json.dumps(files).encode())
        elif path.startswith("/api/datasets/owner/set"):
            self.answer(200, json.dumps({"id": "owner/set", "sha": "a" * 40, "siblings": []}).encode())
        elif path.startswith("/datasets/owner/set/resolve/") and (self.folder / Path(path).name).is_file():
            content = (self.folder / Path(path).name).read_bytes()
            first, last = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "bytes=-").groups()  # type: ignore[union-attr]
            self.answer(206 if first else 200, content[int(first or 0) : int(last or len(content)) + 1])
        else:
            self.answer(404, b"")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("ETag", '"0"')
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_set_of_a_hub(local: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="a hub's set needs the extra scale")
    Hub.folder = local / "colours"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    # Where the hub is, its library reads once.
    program = "from pennyweight import data; print(data.open('hf:owner/set').fingerprint)"
    home = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **home}, capture_output=True, text=True, check=False
    )
    server.shutdown()
    thread.join()
    server.server_close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == data.open(str(local / "colours")).fingerprint


def test_what_no_hub_has_is_one_line(http: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "cats" / "1.png")
    assert "holds its pictures as imagefolder; webdataset and parquet can be streamed" in one_line(
        f"hf:{tmp_path / 'pictures'}"
    )
    assert one_line(f"hf:{tmp_path / 'nowhere'}").startswith(f"cannot open hf:{tmp_path / 'nowhere'}: ")

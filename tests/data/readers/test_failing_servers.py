"""Files at a server that sends them in pieces, fails for a while or for good, or sends readers elsewhere."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from pennyweight.core import retries
from pennyweight.core.errors import SourceError
from pennyweight.data.readers import tar_stream
from pennyweight.data.readers.addresses import normal_address, shown_address
from pennyweight.data.readers.shard import Shard
from pennyweight.data.readers.shards import open_shards

MISSING = [package for package in ("fsspec", "aiohttp") if find_spec(package) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="addresses need the extra scale")

MB = 1 << 20
TRIES = 1 + retries.RETRIES


class Server(ThreadingHTTPServer):
    """Sends `content` in the given pieces, after `failures` of the requests for it have failed."""

    daemon_threads = True
    content: bytes = b"picture"
    pieces: tuple[int, ...] = ()
    status: int = 200
    failures: float = 0
    place: str = ""
    asked: int = 0
    drips: bool = False
    pause_s: float = 0.0
    """Seconds after each of the pieces."""
    address: str


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def do_GET(self) -> None:
        self.server.asked += 1
        self.answer(with_content=True)
        self.server.failures -= 1

    def answer(self, *, with_content: bool) -> None:
        if self.server.failures > 0:
            if self.server.status == 0:
                self.close_connection = True
                return
            self.send_response(self.server.status)
            if self.server.place:
                self.send_header("Location", self.server.place)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        sent = 0
        for size in (*self.server.pieces, len(self.server.content)) if with_content else ():
            self.wfile.write(self.server.content[sent : sent + size])
            self.wfile.flush()
            sent += size
            time.sleep(self.server.pause_s)
            while self.server.drips:  # until the client leaves, or its picture would be there
                self.wfile.write(self.server.content[sent : sent + 1])
                sent += 1
                time.sleep(0.01)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(retries, "WAIT_S", 0.0)
    served = Server(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{served.server_port}/a.jpg"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def line_of(server: Server, read: Callable[[Shard], Any] = lambda shard: shard.content(MB)) -> str:
    with pytest.raises(SourceError) as raised:
        read(Shard(server.address, None))
    return str(raised.value).removeprefix(f"cannot read {server.address}: ")


def test_a_picture_in_pieces_is_whole(server: Server) -> None:
    server.content = np.random.default_rng(0).bytes(MB)
    server.pieces = (1, 1000, 60_000, 300_000)
    assert Shard(server.address, None).content(MB) == server.content
    assert (
        line_of(server, lambda shard: shard.content(MB - 1))
        == f"{server.address} has more than 1,048,575 bytes; download it, and name the file"
    )


class Dripping(io.BytesIO):
    """File that returns a byte at a time, as that of a slow server may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size or 0))


def test_a_tar_whose_bytes_come_one_by_one_is_read() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tape:
        tape.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    with tar_stream.open_stream(Dripping(file.getvalue())) as tar:
        assert [member.name for member in tar_stream.entries(tar)] == ["a.jpg"]


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_server_that_fails_for_a_while_is_asked_again(server: Server, status: int) -> None:
    server.status, server.failures = status, TRIES - 1
    assert Shard(server.address, None).content(MB) == b"picture"
    assert server.asked >= TRIES
    server.failures = 1
    assert Shard(server.address, None).stamp == "size 7"


@pytest.mark.parametrize(
    ("status", "said", "tries"),
    [
        (404, "there is no such file", 1),
        (410, "there is no such file", 1),
        (401, "the server answers 401 Unauthorized", 1),
        (503, "the server answers 503 Service Unavailable", TRIES),
        (599, "the server answers 599", TRIES),
        (0, "Server disconnected", TRIES),
    ],
)
def test_a_failure_that_stays_is_told_as_it_is(server: Server, status: int, said: str, tries: int) -> None:
    server.status, server.failures = status, float("inf")
    assert line_of(server) == said
    assert tries <= server.asked <= 2 * tries  # a GET that breaks is repeated once by the client itself
    assert line_of(server, lambda shard: list(shard.examples())) == said


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "file:///etc/passwd",
            "the server redirects to file:///etc/passwd, and http:// and https:// are followed alone",
        ),
        ("/a.jpg", "the server redirects too many times"),
    ],
)
def test_a_redirect_that_is_not_followed_is_told(server: Server, place: str, said: str) -> None:
    server.status, server.failures, server.place = 302, float("inf"), place
    assert line_of(server) == said


def test_a_server_that_drips_is_left(server: Server) -> None:
    server.content, server.pieces, server.drips = bytes(MB), (1,), True
    assert line_of(server, lambda shard: shard.content(MB, within_s=0.1)) == "the server took too long"
    assert server.asked == 1
    server.drips = False


def test_a_shard_may_take_longer_than_a_request_by_default(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp import ClientTimeout, client
    from fsspec.implementations.http import HTTPFileSystem

    HTTPFileSystem.clear_instance_cache()  # with their sessions
    monkeypatch.setattr(client, "DEFAULT_TIMEOUT", ClientTimeout(total=0.05))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tape:
        tape.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    server.content, server.pieces, server.pause_s = file.getvalue(), (1000, 1000, 1000), 0.05
    server.address = f"{server.address[:-4]}.tar"
    (example,) = Shard(server.address, None).examples()
    assert example.key == "a"
    assert server.asked == 1
    HTTPFileSystem.clear_instance_cache()


def test_a_scheme_in_capitals_and_a_query_with_a_token(server: Server) -> None:
    given = f"{server.address.replace('http', 'HTTP')}?id=7&token=abc"
    address = normal_address(given)
    assert Shard(address, None).content(MB) == b"picture"
    server.status, server.failures = 403, float("inf")
    with pytest.raises(SourceError) as raised:
        Shard(address, None).content(MB)
    assert str(raised.value) == f"cannot read {server.address}?id=7&token=…: the server answers 403 Forbidden"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:word@host/a.png?x=1#part", "https://host/a.png?x=1#part"),
        (
            "https://host/a.png?X-Amz-Signature=ab%2F&size=2&api_key=c",
            "https://host/a.png?X-Amz-Signature=…&size=2&api_key=…",
        ),
        ("s3://key:secret@bucket/a?b=c.tar", "s3://bucket/a?b=c.tar"),
        ("abfs://pictures@account.dfs.core.windows.net/a.png", "abfs://pictures@account.dfs.core.windows.net/a.png"),
        ("/folder/a@b?token=c.png", "/folder/a@b?token=c.png"),
    ],
)
def test_an_address_is_shown_without_what_gives_access(given: str, shown: str) -> None:
    assert shown_address(given) == shown


def test_the_kind_of_a_shard_is_that_of_its_path() -> None:
    (shard,) = open_shards("HTTP://user:word@host/birds/train.parquet?token=a/b.tar").files
    assert (shard.name, shard.stem, shard.is_table, shard.split) == ("train.parquet", "train", True, "train")
    assert shard.url == "http://user:word@host/birds/train.parquet?token=a/b.tar"
    with pytest.raises(SourceError, match="is no address of shards"):
        open_shards("http://host/a.png?file=x.tar")
    with pytest.raises(SourceError, match="has a control character; write it as % and two digits"):
        open_shards("http://host/a\nb.tar")

"""Downloads from a small server on the loopback: whole, resumed, cut short, tampered with, refused."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pennyweight.core.download import fetch
from pennyweight.core.errors import DownloadError

CONTENT = bytes(range(256)) * 9000
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()[:8]


class Server(ThreadingHTTPServer):
    """Serves CONTENT under /file; what a test sets says how badly."""

    ranges = True
    cut_after: int | None = None
    cut_once: int | None = None
    trickle_s: float | None = None
    tampered = False
    asked: list[str | None]
    ending: threading.Event


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.path != "/file":
            self.send_error(404)
            return
        content = CONTENT[::-1] if self.server.tampered else CONTENT
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end, self.server.cut_once = self.server.cut_once or self.server.cut_after, None
        if self.server.trickle_s is not None:
            while not self.server.ending.wait(self.server.trickle_s):
                self.wfile.write(b"x")
        self.wfile.write(content[start:end])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.ending = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # how soon it hears that it is to end
    thread.start()
    yield server
    server.ending.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/file"


def test_a_file_comes_once_and_says_so(
    server: Server, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cache" / "w-00.pth"
    assert fetch(url, path, checksum=CHECKSUM) == path
    assert path.read_bytes() == CONTENT
    assert capsys.readouterr().err == "downloading w-00.pth, 2.3 MB\n"
    fetch(url, path, checksum=CHECKSUM)
    assert server.asked == [None]
    assert capsys.readouterr().err == ""
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == ["w-00.pth"]


def test_a_connection_that_breaks_is_taken_up_again(
    server: Server, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the same call, where it broke, as long as a try brings more."""
    server.cut_once = 1_500_000
    assert fetch(url, tmp_path / "w.pth", checksum=CHECKSUM).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1500000-"]
    said = "downloading w.pth, 2.3 MB\nresuming w.pth at 1.5 MB, 2.3 MB in all\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("ranges", [True, False])
def test_what_was_cut_short_goes_on_in_the_next_call(server: Server, url: str, tmp_path: Path, ranges: bool) -> None:
    path = tmp_path / "w.pth"
    server.cut_after, server.ranges = 1_500_000, ranges
    with pytest.raises(DownloadError, match="ended after 1,500,000 of 2,304,000 bytes"):
        fetch(url, path, checksum=CHECKSUM)
    assert not path.exists()
    assert server.asked == [None, "bytes=1500000-"]  # the second brought nothing
    server.cut_after = None
    assert fetch(url, path, checksum=CHECKSUM).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1500000-", "bytes=1500000-"]


def test_a_download_that_may_not_last_ends_with_what_came_kept(server: Server, url: str, tmp_path: Path) -> None:
    """A server that sends a byte now and then never falls silent."""
    server.trickle_s = 0.02
    with pytest.raises(DownloadError, match=r"longer than 0.3 s; the next try resumes there; .*put the file at"):
        fetch(url, tmp_path / "w.pth", checksum=CHECKSUM, within_s=0.3)
    assert (tmp_path / "w.pth.part").stat().st_size > 0
    assert not (tmp_path / "w.pth").exists()


def test_a_full_disk_is_said_with_what_is_missing_and_what_came_is_kept(
    server: Server, url: str, small_disk: Path
) -> None:
    path, room = small_disk / "weights" / "w.pth", small_disk / "others"
    room.write_bytes(bytes(1_500_000))
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, checksum=CHECKSUM)
    have = (small_disk / "weights" / "w.pth.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert str(caught.value) == (
        f"cannot download {url}: the disk is full, {path.parent}; {len(CONTENT) - have:,} of 2,304,000 bytes are "
        f"missing; the {have:,} bytes in w.pth.part are kept, and the next try resumes there"
    )
    assert server.asked == [None]  # no connection was broken, and none is made again
    room.unlink()
    assert fetch(url, path, checksum=CHECKSUM).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


@pytest.mark.skipif(os.name != "posix", reason="the limit is POSIX's")
def test_a_file_that_may_not_be_so_large_is_no_broken_connection(server: Server, url: str, tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with pytest.raises(DownloadError, match=r"may be so large .*; 804,000 of 2,304,000 bytes are missing; the 1,5"):
            fetch(url, tmp_path / "w.pth", checksum=CHECKSUM)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert server.asked == [None]
    assert fetch(url, tmp_path / "w.pth", checksum=CHECKSUM).read_bytes() == CONTENT


def test_a_disk_that_takes_no_file_at_all_is_full(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DownloadError, match=r"^cannot download http.*/file: the disk is full, .*cache$"):
        fetch(url, tmp_path / "cache" / "w.pth", checksum=CHECKSUM)
    assert server.asked == []


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_offline_nothing_is_asked_for(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", value)
    path = tmp_path / "cache" / "w.pth"
    with pytest.raises(DownloadError, match=r"PENNYWEIGHT_OFFLINE is set, so http.* is not fetched; put the file at"):
        fetch(url, path, checksum=CHECKSUM)
    assert server.asked == []
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch(url, path, checksum=CHECKSUM) == path  # what is here is used


@pytest.mark.parametrize("value", ["0", "false", "off", "No", ""])
def test_offline_can_be_switched_off(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", value)
    assert fetch(url, tmp_path / "w.pth", checksum=CHECKSUM).exists()


def test_what_was_tampered_with_is_removed(server: Server, url: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    server.tampered = True
    with pytest.raises(DownloadError, match="is not what"):
        fetch(url, path, checksum=CHECKSUM)
    assert [file for file in tmp_path.iterdir() if file.suffix != ".lock"] == []
    server.tampered = False
    fetch(url, path, checksum=CHECKSUM)
    path.write_bytes(CONTENT + b"x")  # put there by someone, who may want it
    with pytest.raises(DownloadError, match=r"is not what .*; move it away"):
        fetch(url, path, checksum=CHECKSUM)
    assert path.exists()


def test_several_that_want_one_file_fetch_it_once(server: Server, url: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    with ThreadPoolExecutor(4) as pool:
        assert {
            fetched.read_bytes() for fetched in pool.map(lambda _: fetch(url, path, checksum=CHECKSUM), range(4))
        } == {CONTENT}
    assert server.asked == [None]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nshort",
        b"welcome to the hotel\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
)
def test_a_server_that_talks_nonsense_is_one_line(tmp_path: Path, reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            listener.close()  # a second try is refused at once
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DownloadError, match="cannot download") as caught:
            fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x", tmp_path / "x", checksum=CHECKSUM)
        thread.join()
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_made_is_one_line(url: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DownloadError, match="cannot download"):
        fetch(url, tmp_path / "cache" / "x", checksum=CHECKSUM)


def test_a_part_that_holds_everything_needs_no_more(server: Server, url: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(CONTENT)
    assert fetch(url, tmp_path / "w.pth", checksum=CHECKSUM).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/file", "file:///etc/hostname", "{url}x"])
def test_what_cannot_be_had_says_where_to_put_it(url: str, tmp_path: Path, address: str) -> None:
    path = tmp_path / "w.pth"
    with pytest.raises(DownloadError) as caught:
        fetch(address.format(url=url), path, checksum=CHECKSUM)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or "only https and http" in str(caught.value)
    assert not path.exists()


def test_md5_where_a_publisher_gives_that(url: str, tmp_path: Path) -> None:
    checksum = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert fetch(url, tmp_path / "x", checksum=checksum).exists()

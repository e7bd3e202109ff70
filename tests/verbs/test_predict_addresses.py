"""Pictures at addresses and in streamed shards: answered as files are, in parts too, and asked for once."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from PIL import Image

import pennyweight as pw
from pennyweight.core import retries
from pennyweight.core.errors import InputError
from pennyweight.verbs.inputs import pictures_given

COUNT, SIZE = 7, 3
MISSING = [package for package in ("fsspec", "aiohttp") if find_spec(package) is None]
remote = pytest.mark.skipif(bool(MISSING), reason="addresses need the extra scale")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps the names of the files that were sent."""

    def do_GET(self) -> None:
        self.server.sent.append(self.path.rpartition("/")[2])  # type: ignore[attr-defined]
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def shelf(tmp_path: Path, noise: Callable[..., NDArray[Any]], write_shards: Callable[..., str]) -> Path:
    """Folder with pictures, shards, and what else a server has."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(noise(20, 24, seed=number)).save(folder / f"{number}.png")
    (folder / "damaged.png").write_bytes(b"no picture")
    write_shards(folder / "shards", {"train": [4, 5], "val": [2]})
    return folder


@pytest.fixture
def server(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(retries, "WAIT_S", 0.0)
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(shelf)))
    served.sent = []  # type: ignore[attr-defined]
    served.address = f"http://127.0.0.1:{served.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def table_of(folder: Path, *paths: str) -> Path:
    file = folder / "list.csv"
    file.write_text("\n".join(["path", *paths]), encoding="utf-8")
    return file


def labels_of(answers: Any) -> list[Any]:
    """Label and probability of each answer, and the start of the reason where there is none."""
    return [
        (each.label, pytest.approx(each.probability, abs=1e-6)) if isinstance(each, pw.Prediction) else each.source
        for each in answers
    ]


def test_an_address_that_only_a_table_names_is_not_asked(tmp_path: Path) -> None:
    table = table_of(tmp_path, "http://127.0.0.1:1/a.png", "here.png")
    first, second = pictures_given([str(table)])
    assert isinstance(first, pw.Failure)
    assert first.error == (
        f"http://127.0.0.1:1/a.png is an address, and only {table} names it; --fetch downloads such pictures"
    )
    assert second.source == str(tmp_path / "here.png")
    with pytest.raises(InputError, match="fetch belongs to a table"):
        pictures_given([str(tmp_path)], read_as={"fetch": True})


@remote
@pytest.mark.slow
def test_pictures_at_addresses_are_answered_as_their_files(bundle: pw.Bundle, shelf: Path, server: Any) -> None:
    files = [shelf / f"{number}.png" for number in range(COUNT)]
    expected = labels_of(pw.predict(bundle, files))
    assert labels_of(pw.predict(bundle, f"{server.address}/{{0..6}}.png")) == expected
    lost, here = f"{server.address}/gone.png", [f"{server.address}/{each.name}" for each in files]
    table = table_of(shelf, *here, lost, f"{server.address}/damaged.png", "0.png", "foo://a/b.png")
    *found, gone, damaged, own, unknown = pw.predict(bundle, table, read_as={"fetch": True})
    assert labels_of(found) == expected
    assert labels_of([own]) == expected[:1]
    assert gone.to_dict() == {"source": lost, "error": f"cannot read {lost}: there is no such file"}
    assert f"cannot read {server.address}/damaged.png: " in damaged.to_dict()["error"]
    assert unknown.to_dict()["error"].startswith("cannot read foo://a/b.png: ")
    (archive,) = pw.predict(bundle, f"{server.address}/set.zip")
    assert "is an archive or a table at an address; download it" in archive.to_dict()["error"]


@remote
@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
def test_parts_of_addresses_are_asked_once(
    bundle: pw.Bundle, shelf: Path, server: Any, tmp_path: Path, workers: int | None
) -> None:
    names = [f"{number}.png" for number in range(COUNT - 1)] + ["gone.png"]
    table = table_of(shelf, *(f"{server.address}/{name}" for name in names))
    call: dict[str, Any] = {"part_size": SIZE, "read_as": {"fetch": True}, "workers": workers}
    done = pw.predict_parts(bundle, table, tmp_path / "parts", **call)
    assert (done.parts, done.pictures, done.failed.count) == (3, COUNT, 1)
    assert sorted(set(server.sent)) == sorted(names)
    assert sorted(server.sent) == sorted(names)
    server.sent.clear()
    (tmp_path / "parts" / "part-00001.jsonl").unlink()
    done = pw.predict_parts(bundle, table, tmp_path / "parts", **call)
    assert (done.pictures, done.kept) == (SIZE, COUNT - SIZE)
    assert sorted(server.sent) == names[SIZE : 2 * SIZE]
    with pytest.raises(InputError, match="another read_as"):
        pw.predict_parts(bundle, table, tmp_path / "parts", part_size=SIZE)


@remote
@pytest.mark.slow
def test_a_streamed_shard_is_a_part_and_is_read_once(
    bundle: pw.Bundle, shelf: Path, server: Any, tmp_path: Path
) -> None:
    names = ["train-000.tar", "train-001.tar", "val-000.tar", "val-001.tar"]
    address, parts, said = f"{server.address}/shards/{{train,val}}-{{000..001}}.tar", tmp_path / "parts", list[str]()
    files = [shelf / "shards" / name for name in names[:3]]
    expected = labels_of(pw.predict(bundle, files))
    assert labels_of(pw.predict(bundle, address)) == [*expected, f"{server.address}/shards/val-001.tar"]
    server.sent.clear()
    done = pw.predict_parts(bundle, address, parts, part_size=2, note=said.append)
    assert (done.parts, done.pictures, done.failed.count) == (4, 4 + 5 + 2 + 1, 1)
    assert sorted(set(server.sent)) == names
    server.sent.clear()
    (parts / "part-00001.jsonl").unlink()
    done = pw.predict_parts(bundle, address, parts, part_size=2, note=said.append)
    assert (done.pictures, done.kept) == (5, 7)
    assert set(server.sent) - {names[3]} == {names[1]}  # the missing shard is asked again
    shutil.copy(files[0], files[2])
    os.utime(files[2], (0, 0))  # the size is the same, and http dates have seconds
    shutil.copy(files[0], shelf / "shards" / names[3])
    assert not said
    done = pw.predict_parts(bundle, address, parts, part_size=2, note=said.append)
    assert (done.pictures, done.kept, done.failed.count) == (4 + 4, 9, 0)
    assert len(said) == 2
    assert f"such as {server.address}/shards/val-000.tar/" in said[0]

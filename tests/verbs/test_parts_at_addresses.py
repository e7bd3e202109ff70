"""Folders of parts whose pictures lie at a server: what fails is asked for again, told, and kept without passwords."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.core import retries
from pennyweight.core.strangers import StrangerRule
from pennyweight.data import ReadAs
from pennyweight.report.prediction_files import answers_in
from pennyweight.verbs.addresses import at_address, shards_of
from pennyweight.verbs.inputs import pictures_given
from pennyweight.verbs.parts.filling import Plan, fill
from pennyweight.verbs.parts.folder import PartsFolder
from pennyweight.verbs.predict_parts import Parts

MISSING = [package for package in ("fsspec", "aiohttp") if find_spec(package) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="addresses need the extra scale")


class Handler(BaseHTTPRequestHandler):
    """Answers with the status of a file, and with its name."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server: Any = self.server
        name = self.path.partition("?")[0].strip("/")
        server.asked.append(name)
        self.send_response(server.statuses.get(name, 200))
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(name.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(retries, "WAIT_S", 0.0)
    monkeypatch.setattr(Plan, "open_classifier", lambda plan: Named())
    served: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.asked, served.statuses = [], {}
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


class Named:
    """Classifier whose label is the content of the file."""

    def stream_named(self, pictures: Iterable[Any], top: int) -> Iterator[pw.Prediction | pw.Failure]:
        for each in pictures:
            if isinstance(each, pw.Failure):
                yield each
            else:
                label = each.picture.decode()
                yield pw.Prediction(source=each.source, label=label, probability=0.5, top=((label, 0.5),), typical=0.25)

    def is_strange(self, answer: object) -> bool:
        return False


def parts_of(folder: Path, form: Any, *paths: str) -> tuple[Parts, list[str]]:
    """Fill a folder with parts of two pictures."""
    parts, said = PartsFolder(folder, form), list[str]()
    done = Parts(folder)
    plan = Plan(None, parts, paths, 2, 1, ReadAs(), None, StrangerRule(), parts.stamps())  # type: ignore[arg-type]
    parts.open_job(plan.settings())
    fill(plan, said.append, done.add)
    return done, said


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_a_failing_server_did_not_send_is_asked_for_again(server: Any, tmp_path: Path, form: Any) -> None:
    start = f"http://user:word@127.0.0.1:{server.server_port}"
    shown = start.replace("user:word@", "")
    address = f"{start}/{{a,b,c,d}}?size=1&token=SECRET"
    server.statuses = {"b": 503, "c": 404}
    done, said = parts_of(tmp_path / "parts", form, address)
    assert (done.pictures, done.kept, done.failed.count, done.failed_before.count) == (4, 0, 2, 0)
    assert not said
    server.asked.clear()
    server.statuses = {"c": 404}
    done, said = parts_of(tmp_path / "parts", form, address.replace("SECRET", "ANOTHER"))
    assert (done.pictures, done.kept, done.failed.count) == (1, 3, 0)
    assert (done.failed_before.count, done.failed_parts) == (1, ["part-00001"])
    assert server.asked == ["b"]
    (line,) = said
    told = (
        f"1 picture of part-00000.{form} could not be fetched before, such as {shown}/b?size=1&token=…; asked for again"
    )
    assert line == told
    answers = [answer for part in (0, 1) for answer, _ in answers_in(tmp_path / f"parts/part-0000{part}.{form}", form)]
    assert [each.source for each in answers] == [f"{shown}/{name}?size=1&token=…" for name in "abcd"]
    assert [getattr(each, "label", None) for each in answers] == ["a", "b", None, "d"]
    assert answers[0].to_dict() == {
        "source": f"{shown}/a?size=1&token=…", "label": "a", "probability": 0.5, "top": (("a", 0.5),), "typical": 0.25
    }  # fmt: skip
    kept = "".join(file.read_text(errors="replace") for file in (tmp_path / "parts").iterdir())
    assert "word" not in kept
    assert "SECRET" not in kept
    server.asked.clear()
    done, said = parts_of(tmp_path / "parts", form, address)
    assert (done.pictures, done.kept, done.failed_before.count, said, server.asked) == (0, 4, 1, [], [])


def test_complete_parts_of_a_shard_are_kept_offline(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{server.server_port}/a.tar?token=SECRET"
    server.statuses = {"a.tar": 503}
    done, _ = parts_of(tmp_path / "parts", "jsonl", address)
    assert (done.parts, done.failed.count) == (1, 1)
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", "1")
    done, _ = parts_of(tmp_path / "parts", "jsonl", address)
    assert (done.kept, done.failed_before.count) == (1, 1)
    row = json.loads((tmp_path / "parts" / "part-00000.jsonl").read_text())
    assert row["source"] == address.partition("?")[0]
    assert row["error"].endswith("a.tar?token=…: the server answers 503 Service Unavailable")


def test_the_path_of_an_address_says_what_it_is() -> None:
    assert isinstance(at_address("https://host/a.png?file=x.zip"), pw.runtime.NamedPicture)
    archive = at_address("https://host/a.zip?token=b")
    assert isinstance(archive, pw.Failure)
    assert archive.error.startswith("https://host/a.zip?token=… is an archive or a table at an address; download it")
    assert shards_of("https://host/a.png?file=x.tar") == ()
    (shard,) = shards_of("HTTPS://host/a.tar?x=1")
    assert shard.url == "https://host/a.tar?x=1"
    (upper,) = pictures_given(["HTTP://host/a.png"])
    assert upper.source == "http://host/a.png"


@pytest.mark.parametrize(
    "address", ["http://host/a\nFAKE\tdog.jpg", "http://host/a\x7f.png", "http://host/{a,b}\n.tar"]
)
def test_a_control_character_is_refused(address: str) -> None:
    for refused in pictures_given([address]):
        assert isinstance(refused, pw.Failure)
        assert "has a control character; write it as % and two digits" in refused.error

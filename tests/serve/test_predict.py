"""`POST /predict` answers as `predict` does; what cannot be answered is told in one line, and limits hold."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.serve.failures import BusyError
from pennyweight.serve.settings import ServeSettings, read_token
from pennyweight.serve.workers import Workers, queue_within

RED, BLACK = (200, 40, 30), (0, 0, 0)
TOKEN = {"authorization": "Bearer a-token-of-letters"}


def files_of(picture_file: Callable[..., bytes]) -> dict[str, bytes]:
    made = {
        f"{form.lower()}.{form.lower()}": picture_file(RED, form, (31, 17)) for form in ("PNG", "JPEG", "WEBP", "GIF")
    }
    return {**made, "black.png": picture_file(BLACK), "bad.png": made["png.png"][:40], "text.png": b"no picture at all"}


def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        assert row.pop("milliseconds") >= 0
    return rows


def test_every_answer_is_that_of_predict(
    client: Any, bundle_path: Path, picture_file: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = files_of(picture_file)
    for name, content in files.items():
        Path(name).write_bytes(content)
    classifier = pw.load(bundle_path)
    expected = [answer.to_dict() for answer in classifier.stream(list(files), 2)]
    answer = client.form("/predict?top=2", files)
    assert answer.status == 200
    rows = without_time(answer.json["predictions"])
    assert [row.pop("strange") for row in rows if "strange" in row] == [False] * 4 + [True]
    for row, told in zip(rows, expected, strict=True):
        assert row == {**told, **({"top": [list(pair) for pair in told["top"]]} if "top" in told else {})}
    assert {row["source"]: row.get("typical") for row in rows}["black.png"] == pytest.approx(1 / 101)
    for name, content in files.items():
        single = client("POST", "/predict?top=2", content, content_type="application/x-www-form-urlencoded")
        told = next(row for row in rows if row["source"] == name)
        assert single.status == (422 if "error" in told else 200)
        row = single.json["predictions"][0]
        assert row.get("top") == told.get("top")
        assert row.get("error") == (None if "error" not in told else told["error"].replace(name, "picture"))
        assert single.json["sha256"] == client.service.models.get("colors").sha256


@pytest.mark.slow
def test_every_photograph_gets_the_answer_of_predict(
    serving: Callable[..., Any], real_data: Path, tmp_path: Path
) -> None:
    weights = real_data / "weights" / "mobilenet_v1_x0_5-imagenet-tf_same-160.safetensors"
    bundle = pw.export("mobilenet_v1_x0_5", tmp_path / "mobilenet.onnx", weights=weights)
    photos = sorted((real_data / "imagenet-photos").glob("*/*.jpg"))[::4]
    expected = pw.load(bundle.path).predict(photos)
    assert len(expected) > 80
    with serving([str(bundle.path)]) as client:
        for photo, told in zip(photos, expected, strict=True):
            (found,) = client("POST", "/predict", photo.read_bytes()).json["predictions"]
            assert [label for label, _ in found["top"]] == [label for label, _ in told.top]
            ours, theirs = ([probability for _, probability in top] for top in (found["top"], told.top))
            assert ours == pytest.approx(theirs, abs=1e-6)  # one thread adds in another order than two


def test_strangers_are_refused_where_the_server_refuses_them_and_the_log_names_no_picture(
    serving: Callable[..., Any],
    bundle_path: Path,
    picture_file: Callable[..., bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pennyweight.core.strangers import StrangerRule

    with serving([str(bundle_path)], strangers=StrangerRule("refuse"), log="json") as client:
        answer = client("POST", "/predict", picture_file(BLACK))
        form = client.form("/predict?top=1", {"my-holiday.png": picture_file(BLACK), "b.png": picture_file(RED)})
    assert answer.status == 422
    assert "unlike anything the network was taught" in answer.json["error"]
    refused, answered = form.json["predictions"]
    assert (form.status, refused["source"], refused["strange"]) == (200, "my-holiday.png", True)
    assert answered["label"] == "red"
    log = capsys.readouterr().err
    assert "holiday" not in log
    first, second = map(json.loads, log.splitlines())
    assert (first["status"], second["status"]) == (422, 200)
    assert (second["path"], second["pictures"], second["client"]) == ("/predict", 2, "127.0.0.1")


CUT = b'--XX\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\npicture'
WRONG: list[tuple[str, str, bytes | None, dict[str, str], int, str]] = [
    ("POST", "/predict", b"", {}, 400, "the body is empty"),
    ("POST", "/predict", b"{}", {"content_type": "application/json"}, 415, "send the bytes of a picture file"),
    ("POST", "/predict", b"x", {"content_encoding": "gzip"}, 415, "without a Content-Encoding"),
    ("POST", "/predict", b"x", {"content_type": "multipart/form-data"}, 400, "has no boundary"),
    ("POST", "/predict", b"x", {"content_type": "multipart/form-data; boundary=XX"}, 400, "the form cannot be read"),
    (
        "POST",
        "/predict",
        CUT,
        {"content_type": "multipart/form-data; boundary=XX"},
        400,
        "ends before its last boundary",
    ),
    ("POST", "/predict", b"--XX--\r\n", {"content_type": "multipart/form-data; boundary=XX"}, 400, "-F file=@"),
    ("POST", "/predict?top=0", b"x", {}, 400, "top must be a whole number of 1 or more, not '0'"),
    ("POST", "/predict?top=٣", b"x", {}, 400, "top must be a whole number"),
    ("POST", "/predict?model=colours", b"x", {}, 404, "did you mean 'colors'?"),
    ("GET", "/predict", None, {}, 405, "another method"),
    ("GET", "/nothing", None, {}, 404, "/predict"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "said"), WRONG)
def test_a_wrong_request_is_told_in_one_line(
    client: Any, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, said: str
) -> None:
    from urllib.parse import quote

    answer = client(method, quote(path, safe="/?=&"), body, **headers)
    assert answer.status == status
    assert said in answer.json["error"]
    assert "\n" not in answer.json["error"]


def test_limits_of_bytes_pixels_and_pictures_hold(limited: Any, picture_file: Callable[..., bytes]) -> None:
    small, noise = picture_file(RED), np.random.default_rng(0).bytes(5001)
    assert limited("POST", "/predict?model=colors", small, **TOKEN).status == 200
    assert limited("POST", "/predict?model=colors", noise, **TOKEN).status == 413
    chunked = limited("POST", "/predict?model=colors", iter([noise[:3000], noise]), **TOKEN)
    assert chunked.status == 413
    assert "5,000" in chunked.json["error"]
    pixels = limited("POST", "/predict?model=other", picture_file(RED, size=(11, 10)), **TOKEN)
    assert (pixels.status, "100" in pixels.json["error"]) == (422, True)
    three = limited.form("/predict?model=other", {"a": small, "b": small, "c": small}, **TOKEN)
    assert (three.status, "more files than the 2 of one request" in three.json["error"]) == (400, True)
    unnamed = limited("POST", "/predict", small, **TOKEN)
    assert (unnamed.status, "?model=colors (of colors, other)" in unnamed.json["error"]) == (400, True)


@pytest.mark.parametrize("sent", [{}, {"authorization": "Bearer a-token-of-letterz"}, {"authorization": "Basic a"}])
def test_a_request_without_the_token_is_refused(limited: Any, sent: dict[str, str]) -> None:
    answer = limited("POST", "/predict", b"x", **sent)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_slow_body_and_a_large_head_end(limited: Any) -> None:
    with socket.create_connection(limited.place, timeout=10) as slow:
        head = b"POST /predict?model=colors HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a-token-of-letters\r\n"
        slow.sendall(head + b"content-length: 100\r\n\r\nabc")
        assert b"408" in slow.recv(4096).splitlines()[0]
    with socket.create_connection(limited.place, timeout=10) as large:
        large.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x-a: bcdefgh\r\n" * 6000)
        assert b"431" in large.recv(4096).splitlines()[0]


def test_a_full_queue_answers_503_at_once_and_then_serves_on(limited: Any, picture_file: Callable[..., bytes]) -> None:
    service, free = limited.service, Event()
    held: list[Any] = []
    loop = service.loop
    for _ in range(3):  # two workers, and one place in the queue
        loop.call_soon_threadsafe(lambda: held.append(service.workers.run(free.wait)))
    answer = limited("POST", "/predict?model=colors", picture_file(RED), **TOKEN)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "1 picture in the queue, which has room for 1; try again in 1 s" in answer.json["error"]
    free.set()
    while service.workers.unfinished:
        pass
    assert limited("POST", "/predict?model=colors", picture_file(RED), **TOKEN).status == 200


def test_an_answer_that_is_not_ready_in_time_is_503(
    limited: Any, picture_file: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Event()
    classifier = limited.service.models.get("colors").classifier
    monkeypatch.setattr(type(classifier), "stream_named", lambda *_: iter([free.wait()]))
    files = {"a.png": picture_file(RED), "b.png": picture_file(RED)}
    answers = [limited.form("/predict?model=colors", files, **TOKEN)]
    free.set()
    while limited.service.workers.unfinished:
        pass
    monkeypatch.undo()
    assert [(answer.status, answer.headers["retry-after"]) for answer in answers] == [(503, "1")]
    assert answers[0].json["error"] == "the answer was not ready within 0.3 s; try again in 1 s"
    assert limited.form("/predict?model=colors", files, **TOKEN).status == 200


def test_what_fails_inside_is_500_and_tells_nothing_of_the_inside(
    client: Any, picture_file: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = client.service.models.get("colors").classifier
    monkeypatch.setattr(type(classifier), "stream_named", lambda *_: iter([1 / 0]))
    answer = client.form("/predict", {"a": picture_file(RED), "b": picture_file(RED)})
    assert (answer.status, answer.json) == (500, {"error": "the server has failed; its log says more"})
    assert "ZeroDivisionError in /predict: division by zero" in capsys.readouterr().err


def test_workers_leave_out_what_nobody_waits_for_and_tell_failures() -> None:
    async def scenario() -> list[str]:
        workers, free, done = Workers(1, 2), Event(), []
        workers.start()
        first = workers.run(free.wait)
        left = workers.run(lambda: done.append("left"))
        failing = workers.run(lambda: 1 / 0)
        with pytest.raises(BusyError):
            workers.require_room()
        left.cancel()
        free.set()
        assert (await first).answer is True
        with pytest.raises(ZeroDivisionError):
            await failing
        assert workers.unfinished == 0
        workers.stop()
        return done

    assert asyncio.run(scenario()) == []


def test_a_token_file_holds_one_long_line(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-of-letters\n")
    assert read_token(file) == "a-token-of-letters"
    for text, said in (("", "one line"), ("short", "16 are needed"), ("a b c d e f g h i j k", "may hold letters")):
        file.write_text(text)
        with pytest.raises(InputError, match=said):
            read_token(file)


def test_the_usual_queue_is_as_long_as_is_worked_off_in_a_moment() -> None:
    assert queue_within(0.2, 2, 0.01) == 40
    assert queue_within(0.2, 2, 10.0) == 4
    assert queue_within(0.2, 1, 0.0) == 64

    async def scenario() -> list[int]:
        workers = Workers(1, None)
        workers.start()
        lengths = [workers.queue]
        for _ in range(100):
            await workers.run(lambda: None)
        lengths.append(workers.queue)
        workers.stop()
        return lengths

    first, later = asyncio.run(scenario())
    assert first < later


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"workers": 0}, {"timeout": 0}, {"log": "xml"}, {"max_bytes": 0}])
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        ServeSettings(**wrong)

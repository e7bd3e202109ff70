"""Hostile requests and signals: no answer of 500 or above, no growth, and every accepted request is answered."""

from __future__ import annotations

import http.client
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from pennyweight.core.extras import install_command

INFER = "/v2/models/colors/infer"
TYPES = ("image/jpeg", "application/octet-stream", "", "text/html", "multipart/form-data", "a/b; c=\xe9", "image/png")
HEADS = (
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
    b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
    b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    b"POST /predict HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n",
    b"GET /%ff%00%0a HTTP/1.1\r\n\r\n",
    b"GET http:// HTTP/1.1\r\n\r\n",
    b"GET //////?a=%zz HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET /assets/../../../etc/passwd HTTP/1.1\r\n\r\n",
    b"GET /assets/%2e%2e%2fpage.py HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
"""Starts of connections that no client sends."""


def pictures_of_fuzz() -> Any:
    """The module with the mutants of `make fuzz`."""
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[1] / "core" / "test_fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensors(draw: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    """A request to infer, nearly right."""
    sides = [int(side) for side in draw.choice([0, 1, 2, 3, 6, -1, 7, 64, 2**31, 2**63 - 1], draw.integers(1, 6))]
    shape = [1, 6, 6, 3] if draw.random() < 0.5 else sides
    kind = str(draw.choice(["UINT8", "BYTES", "FP32", "INT64", "BOOL", ""]))
    given: dict[str, Any] = {"name": str(draw.choice(["images", "x", ""])), "datatype": kind, "shape": shape}
    values: list[Any] = [
        [0] * 108,
        [1.5] * 108,
        ["a"] * 108,
        [[[[0] * 3] * 6] * 6],
        [None],
        [[]],
        {},
        "abc",
        [True] * 108,
        [],
    ]
    size = int(draw.choice([0, 4, 107, 108, 109, 2**40]))
    binary = bytes(int(draw.integers(0, 200)))
    if draw.random() < 0.5:
        given["parameters"] = {"binary_data_size": size}
    else:
        given["data"], binary = values[draw.integers(len(values))], b""
    names = ["probabilities", "logits", "label", "typical", "none"]
    outputs = [{"name": str(draw.choice(names)), "parameters": {"classification": int(draw.integers(-1, 5))}}]
    head = json.dumps(
        {"inputs": [given] * int(draw.integers(0, 3)), **({"outputs": outputs} if draw.random() < 0.5 else {})}
    )
    length = len(head) if draw.random() < 0.8 else int(draw.choice([0, 1, 10**9]))
    return head.encode() + binary, {"Inference-Header-Content-Length": str(length)} if binary else {}


def bodies(count: int) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers of so many requests."""
    fuzz, draw = pictures_of_fuzz(), np.random.default_rng(7)
    seeds = list(fuzz.seeds().items())
    for number in range(count):
        name, content = seeds[number % len(seeds)]
        picture = fuzz.mutant(draw, content, name.rpartition(".")[2])
        form = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + picture + b"\r\n--XX--\r\n"
        kind = number % 4
        if kind == 0:
            yield "/predict", picture, {"Content-Type": TYPES[draw.integers(len(TYPES))]}
        elif kind == 1:
            cut = form if draw.random() < 0.5 else form[: draw.integers(len(form))]
            yield "/predict", cut, {"Content-Type": f"multipart/form-data; boundary={draw.choice(['XX', 'XY', ''])}"}
        elif kind == 2:
            body, headers = tensors(draw)
            yield INFER, body, headers
        else:
            body, headers = tensors(draw)
            damaged = bytearray(body)
            for place in draw.integers(0, len(damaged), 4):
                damaged[place] = draw.integers(256)
            yield INFER, bytes(damaged), headers


def attack(place: tuple[str, int], count: int) -> Counter[int]:
    """Send hostile requests; count their statuses, 0 for a connection that ends without one."""
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection(*place, timeout=20)
    for path, body, headers in bodies(count):
        connection.request(
            "POST", path, body, {name: value.encode("latin-1").decode("latin-1") for name, value in headers.items()}
        )
        response = connection.getresponse()
        response.read()
        statuses[response.status] += 1
    connection.close()
    for head in HEADS:
        with socket.create_connection(place, timeout=20) as raw:
            try:
                raw.sendall(head)
                raw.shutdown(socket.SHUT_WR)
                found = raw.recv(4096)
            except ConnectionError:
                found = b""
        statuses[int(found[9:12] or 0)] += 1
    return statuses


def test_hostile_requests_are_refused_and_the_server_serves_on(client: Any, picture_file: Callable[..., bytes]) -> None:
    statuses = attack(client.place, 60)
    assert {status for status in statuses if status >= 500} == set()
    assert {200, 400, 422} <= set(statuses)
    assert client("POST", "/predict", picture_file((200, 0, 0))).json["predictions"][0]["label"] == "red"


@contextmanager
def process(bundle: Path, *options: str) -> Iterator[tuple[tuple[str, int], subprocess.Popen[str]]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-W", "error", "-m", "pennyweight", "serve", str(bundle), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            line = next(line for line in server.stderr if "serving on" in line)
            found = urlsplit(re.findall(r"http://\S+", line)[0])
            yield (str(found.hostname), int(found.port or 0)), server
        finally:
            server.kill()


def resident_mib(server: subprocess.Popen[str]) -> float:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[0]) / 1024


@pytest.mark.slow
def test_a_thousand_hostile_bodies_leave_no_trace(bundle_path: Path) -> None:
    with process(bundle_path, "--log", "off", "--timeout", "5") as (place, server):
        attack(place, 400)
        before = resident_mib(server)
        with socket.create_connection(place) as slow:  # it is given up while the others are answered
            slow.sendall(b"POST /predict HTTP/1.1\r\ncontent-length: 1000\r\n\r\na")
            statuses = attack(place, 1000)
        assert {status for status in statuses if status >= 500} == set()
        assert sum(statuses.values()) == 1000 + len(HEADS)
        assert resident_mib(server) < before + 15
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def keep_asking(place: tuple[str, int], body: bytes, ended: Event, outcomes: list[str]) -> None:
    """Send one request after another until nobody listens any more."""
    connection = http.client.HTTPConnection(*place, timeout=20)
    while not ended.is_set():
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            outcomes.append("refused")
            return
        try:
            connection.request("POST", "/predict", body)
            response = connection.getresponse()
            response.read()
            outcomes.append(str(response.status))
        except (OSError, http.client.HTTPException) as error:
            outcomes.append(f"lost: {error!r}")
            return


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_request(
    bundle_path: Path, picture_file: Callable[..., bytes], number: signal.Signals
) -> None:
    body = picture_file((200, 40, 30), "JPEG", (3000, 2000))
    ended, outcomes = Event(), [[] for _ in range(8)]  # type: list[list[str]]
    with process(bundle_path, "--workers", "1", "--queue", "16") as (place, server):
        threads = [Thread(target=keep_asking, args=(place, body, ended, each)) for each in outcomes]
        for thread in threads:
            thread.start()
        assert server.stderr is not None
        lines = [server.stderr.readline() for _ in range(40)]
        server.send_signal(number)
        log = "".join(lines) + server.stderr.read()
        assert server.wait(10) == 0
        for thread in threads:
            thread.join(20)
        ended.set()
    counted = Counter(outcome for each in outcomes for outcome in each)
    assert set(counted) == {"200", "refused"}
    assert counted["refused"] == 8
    assert log.count("POST /predict 200") == counted["200"]
    assert log.splitlines()[-1].endswith("stopped; every accepted request is answered")


@pytest.mark.slow
def test_what_takes_too_long_is_told_that_the_server_stops(
    bundle_path: Path, serving: Callable[..., Any], picture_file: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pennyweight.serve import server

    monkeypatch.setattr(server, "STOP_S", 0.5)
    free, answers = Event(), []  # type: Event, list[Any]
    with serving([str(bundle_path)]) as client:
        classifier = client.service.models.get("colors").classifier
        monkeypatch.setattr(type(classifier), "stream_named", lambda *_: iter([free.wait()]))
        thread = Thread(target=lambda: answers.append(client("POST", "/predict", picture_file((1, 2, 3)))))
        thread.start()
        while not client.service.workers.unfinished:
            Event().wait(0.01)
    free.set()
    thread.join(10)
    assert [(answer.status, answer.json["error"]) for answer in answers] == [
        (503, "the server stops; try again in 1 s")
    ]


@pytest.mark.slow
def test_the_first_lines_say_what_is_served_and_where(bundle_path: Path, tmp_path: Path) -> None:
    with process(bundle_path, "--log", "json") as (place, server):
        connection = http.client.HTTPConnection(*place, timeout=20)
        connection.request("GET", "/v2/health/ready")
        assert connection.getresponse().status == 200
        connection.close()
        server.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in (server.stderr or [])]
        assert server.wait(10) == 0
    assert [line["event"] for line in lines] == ["request", "stop"]
    assert (lines[0]["path"], lines[0]["status"]) == ("/v2/health/ready", 200)


def test_what_cannot_be_served_is_one_line(
    bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pennyweight.cli import main

    def error(*arguments: object) -> str:
        assert main(["serve", *map(str, arguments)]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on port {port} of 127.0.0.1: address already in use; take another --port" in error(
            bundle_path, "--port", port
        )
    assert "no bundle at" in error(tmp_path / "none.onnx", "--port", 0)
    assert "cannot listen on nowhere.invalid" in error(bundle_path, "--host", "nowhere.invalid")
    assert "--max-bytes is a size such as" in error(bundle_path, "--max-bytes", "much")
    assert "cannot read" in error(bundle_path, "--token-file", tmp_path / "none")


@pytest.mark.slow
def test_a_missing_part_is_named_with_the_command_that_adds_it(bundle_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['starlette'] = None\n"
        "from pennyweight.cli import main\n"
        "sys.exit(main(['serve', sys.argv[1], '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"error: this needs starlette, which is not installed; add it with: {install_command('serve')}\n"
    )

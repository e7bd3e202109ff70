"""Latency of HTTP servers under an open-loop load: `pennyweight serve` and an endpoint written as tutorials have it.

    python benchmarks/serve.py BUNDLE… [--rates 60,120] [--seconds 30] [--highest] [--overload 3] [--json FILE]

Requests arrive at random (Poisson) at each rate, whether or not earlier ones have been answered: a slow server does not
slow its load. Latency counts from the moment at which a request was to be sent. Each body is a JPEG of 500×375 pixels.
The load comes from this process over the loopback, and shares the cores with the server, which is a process of its own.

`--highest` searches for the highest rate with a 99th percentile of at most 100 ms and no failure, in steps of 5%.
`--overload` then sends that many times as much. `--servers` chooses among `serve`, `plain` (FastAPI, an `async def`
with UploadFile, Pillow and onnxruntime's usual threads) and `plain-threads` (the same as a `def`).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from pennyweight.core.machine import machine_line
from pennyweight.core.noise import seeded_pixels
from pennyweight.report.tables import Column, table

LIMIT_MS = 100.0
STEP = 1.05
PICTURES = 64
SERVERS = ("serve", "plain", "plain-threads")
PLAIN = """
import io, json, sys
import numpy as np, onnxruntime, uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
manifest = json.loads(session.get_modelmeta().custom_metadata_map["pennyweight"])
labels, size, resize = manifest["labels"], manifest["preprocess"]["size"], manifest["preprocess"]["resize"]
app = FastAPI()

@app.post("/predict")
KIND predict(file: UploadFile):
    image = Image.open(io.BytesIO(READ)).convert("RGB")
    scale = resize / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    pixels = np.asarray(image.crop((left, top, left + size, top + size)))[None]
    probabilities = session.run(["probabilities"], {"images": pixels})[0][0]
    best = np.argsort(-probabilities)[:5]
    return {"predictions": [{"label": labels[i], "probability": float(probabilities[i])} for i in best]}

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


@dataclass
class Measured:
    """Answers of a server to one load."""

    server: str
    bundle: str
    rate: float
    seconds: float
    sent: int
    statuses: dict[str, int]
    p50_ms: float
    p90_ms: float
    p99_ms: float
    """Latencies of the requests that were answered with 200."""
    most_ms: float
    refused_p99_ms: float | None
    """99th percentile of the latencies of requests that were answered with 503."""
    begin_mib: float
    end_mib: float
    processor_ms: float
    """Processor time of the server for each request, of all its threads."""
    late_ms: float
    """99th percentile of how late the load itself was."""

    @property
    def holds(self) -> bool:
        """True if every request was answered, 99% of them in time."""
        return set(self.statuses) == {"200"} and self.p99_ms <= LIMIT_MS


class Client(asyncio.Protocol):
    """Connection that is kept open and sends one request at a time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[str] | None = None
        self.received = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result("lost")

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if end and length and len(body) >= int(length[1]) and self.answer is not None and not self.answer.done():
            self.received = b""
            self.answer.set_result(head[9:12].decode())

    def send(self, request: bytes) -> asyncio.Future[str]:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer


class Load:
    """Open-loop load on one address."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.port, self.requests = port, requests
        self.idle: list[Client] = []
        self.took: dict[str, list[float]] = {}
        self.late: list[float] = []

    async def one(self, request: bytes, due: float) -> None:
        """Send a request, and remember how long after `due` its answer came."""
        self.late.append(time.perf_counter() - due)
        status = "lost"
        try:
            client = self.idle.pop() if self.idle else None
            if client is None or client.transport.is_closing():
                _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self.port)
            async with asyncio.timeout(30):
                status = await client.send(request)
            self.idle.append(client)
        except TimeoutError:
            status = "timeout"
        except OSError:
            status = "refused"
        self.took.setdefault(status, []).append(time.perf_counter() - due)

    async def run(self, rate: float, seconds: float, seed: int) -> None:
        """Send requests at random times for `seconds`, and wait for the last answer."""
        draw, tasks = random.Random(seed), set()
        due = time.perf_counter() + 0.05
        end = due + seconds
        while due < end:
            pause = due - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            tasks.add(asyncio.create_task(self.one(draw.choice(self.requests), due)))
            due += draw.expovariate(rate)
        await asyncio.gather(*tasks)
        for client in self.idle:
            client.transport.close()


def percentile(seconds: Sequence[float], share: float) -> float:
    return float(np.percentile(seconds, 100 * share)) * 1000 if seconds else float("nan")


def resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_requests(server: str) -> list[bytes]:
    """Return requests with different JPEG files of 500×375 pixels, about 45 KB each as photographs have it."""
    made = []
    for pixels in seeded_pixels(PICTURES, (375, 500, 3)):
        grain = np.random.default_rng(0).normal(0, 9, pixels.shape)
        file = io.BytesIO()
        Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        content, kind = file.getvalue(), "image/jpeg"
        if server != "serve":
            head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
            content, kind = head + content + b"\r\n--XX--\r\n", "multipart/form-data; boundary=XX"
        fields = f"Host: a\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}"
        made.append(f"POST /predict HTTP/1.1\r\n{fields}\r\n\r\n".encode() + content)
    return made


@contextmanager
def served(server: str, bundle: str, options: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Run a server; yield its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pennyweight", "serve", bundle, "--port", str(port), "--log", "off", *options]
    if server != "serve":
        kind, read = ("def", "file.file.read()") if server == "plain-threads" else ("async def", "await file.read()")
        command = [sys.executable, "-c", PLAIN.replace("KIND", kind).replace("READ", read), bundle, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measure(server: str, bundle: str, rate: float, seconds: float, options: Sequence[str], warm: float) -> Measured:
    """Measure a fresh server at one rate, after some seconds at a third of it."""
    with served(server, bundle, options) as (port, pid):
        requests = make_requests(server)
        asyncio.run(Load(port, requests).run(min(rate / 3, 20), warm, 1))
        begin, worked = resident_mib(pid), processor_s(pid)
        load = Load(port, requests)
        asyncio.run(load.run(rate, seconds, 0))
        end, worked = resident_mib(pid), processor_s(pid) - worked
    sent = sum(map(len, load.took.values()))
    good, refused = load.took.get("200", []), load.took.get("503", [])
    return Measured(
        server, Path(bundle).stem, rate, seconds, sent,
        dict(Counter({status: len(each) for status, each in load.took.items()})),
        percentile(good, 0.5), percentile(good, 0.9), percentile(good, 0.99), max(good, default=float("nan")) * 1000,
        percentile(refused, 0.99) if refused else None, begin, end, 1000 * worked / max(sent, 1),
        percentile(load.late, 0.99),
    )  # fmt: skip


def highest(server: str, bundle: str, asked: argparse.Namespace, start: float) -> Iterator[Measured]:
    """Yield each trial of the search for the highest rate that holds; the last one that holds is the result."""
    rate, best = start, 0.0
    while True:  # in large steps down or up, until one rate holds and the next does not
        found = measure(server, bundle, rate, asked.seconds, asked.option, asked.warm)
        yield found
        if found.holds:
            best, rate = rate, rate * 1.3
        elif best:
            break
        else:
            rate /= 1.3
        if rate < 1:
            return
    low, high = best, rate
    while high / low > STEP:
        middle = (low * high) ** 0.5
        found = measure(server, bundle, middle, asked.seconds, asked.option, asked.warm)
        yield found
        low, high = (middle, high) if found.holds else (low, middle)


COLUMNS = [
    *(Column(title) for title in ("server", "bundle")),
    Column("requests/s", lambda value: f"{value:.0f}"),
    *(Column(title) for title in ("sent", "statuses")),
    *(Column(title, lambda value: "–" if value is None else f"{value:.0f}") for title in (
        "50%, ms", "90%, ms", "99%, ms", "most, ms", "503 at 99%, ms", "begin, MiB", "end, MiB", "load late, ms")),
    Column("processor, ms", lambda value: f"{value:.1f}"),
]  # fmt: skip


def row(found: Measured) -> tuple[Any, ...]:
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(found.statuses.items()))
    times = (found.p50_ms, found.p90_ms, found.p99_ms, found.most_ms, found.refused_p99_ms)
    return (
        *(found.server, found.bundle, found.rate, found.sent, statuses),
        *times,
        *(found.begin_mib, found.end_mib, found.late_ms, found.processor_ms),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--rates", default="60,120", help="requests a second, separated by commas")
    parser.add_argument("--seconds", type=float, default=30, help="seconds at each rate")
    parser.add_argument("--warm", type=float, default=3, help="seconds of a small load before each measurement")
    parser.add_argument("--servers", default="serve,plain", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--highest", action="store_true", help="search for the highest rate that holds")
    parser.add_argument("--overload", type=float, default=0, help="times the highest rate, with --highest")
    parser.add_argument("--option", action="append", default=[], help="option of `pennyweight serve`, repeatable")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    asked = parser.parse_args()
    found: list[Measured] = []
    console = Console(width=180)

    def keep(one: Measured) -> Measured:
        found.append(one)
        console.print(table(None, COLUMNS, [row(one)]))
        return one

    for bundle in asked.bundles:
        for server in asked.servers.split(","):
            rates = [float(rate) for rate in asked.rates.split(",") if rate]
            for rate in rates:
                keep(measure(server, bundle, rate, asked.seconds, asked.option, asked.warm))
            if asked.highest:
                holding = [keep(one) for one in highest(server, bundle, asked, rates[-1] if rates else 60)]
                best = max((one.rate for one in holding if one.holds), default=0)
                print(f"{server} {Path(bundle).stem}: at most {best:.0f} requests/s within {LIMIT_MS:.0f} ms at 99%")
                if best and asked.overload:
                    keep(measure(server, bundle, asked.overload * best, asked.seconds, asked.option, asked.warm))
    console.print(table("all", COLUMNS, [row(one) for one in found]))
    print(machine_line())
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in found], indent=1))


if __name__ == "__main__":
    main()

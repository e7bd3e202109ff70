"""A small folder of coloured pictures, one run trained on it, and its bundle, for all of the room."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

import pennyweight as pw
from pennyweight.zoo.weights.published import PUBLISHED, Published

COLOURS = {"blue": (70, 70, 160), "green": (70, 160, 70), "red": (160, 70, 70)}
MadeOnce = Callable[[str, Callable[[Path], object]], Path]
SHALLOW = {"stages": [[32, 1, 1], [64, 1, 2]]}
"""Two blocks of a MobileNetV1: each layer costs time when it is made, trained and exported."""
SMALL: dict[str, Any] = {"model": "mobilenet_v1_x0_25", "input_size": 16, "progress": False}


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Small networks are quickest on one thread, also where other work keeps the machine busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="package")
def quick_exports(exported_once: None) -> None:
    """Export each network once for all cases that ship it."""


@pytest.fixture(autouse=True, scope="package")
def quick_twins(twins_once: None) -> None:
    """Search the same pictures for twins once."""


@pytest.fixture(autouse=True)
def quick_shortcuts(no_shortcuts: None) -> None:
    """Trivial classifiers take as long as a small training, and another room looks at them."""


@pytest.fixture(autouse=True)
def quick_reports(no_plots: None) -> None:
    """Plots take as long as a small training, and another room looks at them."""


def draw_colours(root: Path, count: int, *, seed: int = 0, colours: Sequence[str] = tuple(COLOURS)) -> Path:
    """Write `count` noisy pictures of each colour to root/COLOUR; another seed gives other pictures."""
    draw = np.random.default_rng(seed)
    for colour in colours:
        (root / colour).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.clip(draw.normal(COLOURS[colour], 90, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / colour / f"{seed}-{number:02d}.png")
    return root


@pytest.fixture(name="draw_colours", scope="session")
def draw_colours_fixture() -> Callable[..., Path]:
    """`draw_colours(folder, count, seed=0, colours=…)`."""
    return draw_colours


@pytest.fixture(scope="session")
def shapes(made_once: MadeOnce) -> Path:
    """The folder that `trained` was trained on. Nobody writes to it."""
    return made_once("shapes-pictures", lambda folder: draw_colours(folder / "shapes", 40)) / "shapes"


@pytest.fixture(scope="session")
def trained(shapes: Path, made_once: MadeOnce) -> pw.Run:
    """A run that is better than chance and not perfect. Nobody writes to it."""
    recipe = {"epochs": 8, "batch": 8, "lr": 0.01, "warmup_epochs": 1}
    options = {**SMALL, "config": SHALLOW, "recipe": recipe}
    made = made_once("shapes-runs", lambda folder: pw.fit(shapes, out=folder / "run", **options))
    return pw.Run(made / "run")


@pytest.fixture(scope="session")
def bundle(trained: pw.Run, made_once: MadeOnce) -> pw.Bundle:
    return pw.Bundle(
        made_once("shapes-bundles", lambda folder: pw.export(trained, folder / "shapes.onnx")) / "shapes.onnx"
    )


@pytest.fixture(scope="session")
def fit_small() -> Callable[..., pw.Run]:
    """`fit` with a shallow network, unless another or weights are named, at 16 pixels, two epochs, silent."""

    def fit(source: Any, **options: Any) -> pw.Run:
        config = SHALLOW if options.keys().isdisjoint({"model", "weights"}) else {}
        return pw.fit(source, **{**SMALL, "config": config, "recipe": {"epochs": 2, "batch": 16}, **options})

    return fit


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session on two local tasks, each of which is tried four times."""
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    from pyspark.sql import SparkSession

    source = str(Path(pw.__file__).parents[1])
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join([source, *sys.path])}
    try:
        session = (
            SparkSession.builder.master("local[2,4]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "4")
            .getOrCreate()
        )
    except Exception as error:  # Spark's gateway raises errors of its own where Java is missing
        pytest.skip(f"Spark does not start here: {error}")
    yield session
    session.stop()


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`stop_at(step)`: a SIGINT comes in that step."""
    from pennyweight.report.progress import TrainingProgress

    step = TrainingProgress.step

    def at(number: int) -> None:
        done = 0

        def counting(self: TrainingProgress, *arguments: Any, **more: Any) -> None:
            nonlocal done
            done += 1
            if done == number:
                signal.raise_signal(signal.SIGINT)
            step(self, *arguments, **more)

        monkeypatch.setattr(TrainingProgress, "step", counting)

    return at


class Publisher(ThreadingHTTPServer):
    """A server on the loopback with one file of weights of mobilenet_v2; what a test sets says how badly it serves."""

    daemon_threads = True
    content: bytes
    asked: list[str | None]
    """The ranges of all requests."""
    cut_once: int | None = None
    stalls = False

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)  # asks for the name of no address
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class Serving(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        end, server.cut_once = server.cut_once, None
        if server.stalls:
            self.wfile.write(server.content[:1])
            threading.Event().wait(5)
            return
        self.wfile.write(server.content[start:end])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Publisher]]:
    """`publish(state, size, resize)`: a server that publishes weights of mobilenet_v2 as torchvision does."""
    servers = []

    def start(state: Mapping[str, torch.Tensor], size: int, resize: int) -> Publisher:
        torch.save(dict(state), tmp_path / "published.pth")
        server = Publisher(("127.0.0.1", 0), Serving)
        server.content, server.asked = (tmp_path / "published.pth").read_bytes(), []
        digest = hashlib.sha256(server.content).hexdigest()[:8]
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        row = Published(f"mobilenet_v2-{digest}.pth", 72.2, size, resize)
        monkeypatch.setattr("pennyweight.zoo.weights.published.ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setitem(PUBLISHED, "mobilenet_v2", {"IMAGENET1K_V2": row})
        monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("PENNYWEIGHT_OFFLINE", raising=False)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def random_weights() -> Mapping[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.mobilenet_v2().state_dict()


@pytest.fixture
def publisher(publish: Callable[..., Publisher], random_weights: Mapping[str, torch.Tensor]) -> Publisher:
    """A publisher of weights that were drawn at random, for an input of 64 pixels."""
    return publish(random_weights, 64, 72)

"""Servers in threads of this process, with a bundle whose answers are known: the mean color of a picture decides."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, STRANGENESS, Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.seal import seal
from pennyweight.core.typicality import HeldOut
from pennyweight.serve.server import Server
from pennyweight.serve.settings import ServeSettings

LABELS = ("red", "green", "blue")
SIDE = 6


def write_bundle(path: Path, *, labels: tuple[str, ...] = LABELS, typicality: bool = False) -> Path:
    """Write a bundle. Logits are the mean colors in units of 32 levels; black pictures are strange."""
    manifest = Manifest(
        network={"name": "colors", "num_classes": 3, "in_channels": 3, "stem": "none", "config": {}},
        labels=labels,
        preprocess=Preprocess.for_input(SIDE),
        cost={"params": 0, "macs": 0},
        evaluation={"split": "test", "accuracy": 0.9, "accuracy_interval": [0.85, 0.93], "images": 200},
        parity={"pictures": 3, "same_top1": 3, "largest_probability_difference": 1e-7, "of": "made pictures"},
        data={"name": "colors", "fingerprint": "sha256:0"},
        versions={},
        created="2026-01-01T00:00:00+00:00",
        typicality=HeldOut(np.arange(-110, -10, dtype=np.float32), "validation pictures").to_dict()
        if typicality
        else None,
    )
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "levels"], [LOGITS]),
        helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1),
        helper.make_node("ReduceMax", ["mean", "classes"], ["most"], keepdims=0),
        helper.make_node("Neg", ["most"], [STRANGENESS]),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in (PROBABILITIES, LOGITS)]
    outputs += [helper.make_tensor_value_info(STRANGENESS, TensorProto.FLOAT, ["batch"])] * typicality
    graph = helper.make_graph(
        nodes if typicality else nodes[:4],
        "colors",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        outputs,
        initializer=[
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("classes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("levels", TensorProto.FLOAT, [], [32.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    onnx.save(model, path)
    seal(path)
    return path


def picture_file(color: tuple[int, int, int], form: str = "PNG", size: tuple[int, int] = (9, 7)) -> bytes:
    """The bytes of a picture of one color."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, form)
    return file.getvalue()


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Client of a server, with a connection for each request, and the server's service."""

    def __init__(self, server: Server) -> None:
        self.service, self.address = server.service, server.address
        found = urlsplit(server.address)
        assert found.hostname
        assert found.port
        self.place = (found.hostname, found.port)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(*self.place, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def form(self, path: str, files: Mapping[str, bytes], **headers: str) -> Answer:
        parts = b"".join(
            b'--XX\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
            % (name.encode(), content)
            for name, content in files.items()
        )
        return self("POST", path, parts + b"--XX--\r\n", content_type="multipart/form-data; boundary=XX", **headers)


@contextmanager
def serving(bundles: list[str], **settings: Any) -> Iterator[Client]:
    """Serve in a thread, on a free port."""
    server = Server(bundles, ServeSettings(port=0, **{"log": "off", "workers": 2, **settings}))
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield Client(server)
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(autouse=True, scope="session")
def quick_end() -> Iterator[None]:
    """Wait for no late request at the end of a server: cases about it start servers in processes of their own."""
    from pennyweight.serve import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "LAST_S", 0)
        yield


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("serve") / "colors.onnx", typicality=True)


@pytest.fixture(scope="session")
def client(bundle_path: Path) -> Iterator[Client]:
    """A client of a server with the usual limits."""
    with serving([str(bundle_path)]) as found:
        yield found


@pytest.fixture(scope="session")
def limited(bundle_path: Path) -> Iterator[Client]:
    """A client of a server with a token and small limits."""
    limits = {"token": "a-token-of-letters", "max_bytes": 5000, "max_pixels": 100, "max_pictures": 2, "timeout": 0.3}
    with serving([str(bundle_path), f"other={bundle_path}"], queue=1, **limits) as found:
        yield found


@pytest.fixture(name="serving", scope="session")
def serving_fixture() -> Callable[..., Any]:
    """`with serving([bundle], queue=1) as client`."""
    return serving


@pytest.fixture(name="write_bundle", scope="session")
def write_bundle_fixture() -> Callable[..., Path]:
    """`write_bundle(path, labels=…, typicality=…)`."""
    return write_bundle


@pytest.fixture(name="picture_file", scope="session")
def picture_file_fixture() -> Callable[..., bytes]:
    """`picture_file((255, 0, 0), "JPEG")`."""
    return picture_file

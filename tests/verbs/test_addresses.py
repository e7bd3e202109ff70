"""Addresses that only a file says, which may be a stranger's: no command asks them, and a line names them."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import helper

import pennyweight as pw
from pennyweight.core.errors import DownloadError
from pennyweight.core.manifest import METADATA_KEY
from pennyweight.core.offline import is_remote

ADDRESSES = [
    "https://localhost:1/set-{0..1}.tar",
    "http://localhost:1/set.parquet",
    "s3://bucket/set.tar",
    "hf:nobody/nothing",
    "simplecache::http://localhost:1/set.tar",
    "file://server/share/set.tar",
    r"\\server\share\set",
    "//server/share/set",
    r"hf:\\server\share\set",
    "flowers",  # whose publisher would be asked
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fail where anything asks for an address."""

    def asked(*arguments: object, **more: object) -> None:
        pytest.fail(f"an address was asked: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr(socket.socket, "connect", asked)
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)


@pytest.fixture
def stranger(trained: pw.Run, tmp_path: Path) -> Callable[[str], pw.Run]:
    """`stranger(address)`: a run that says it was trained there."""

    def run(address: str) -> pw.Run:
        folder = tmp_path / "stranger"
        shutil.copytree(trained.folder, folder)
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        record = {key: value for key, value in record.items() if key not in ("format", "sha256")}  # an older one
        record["data"]["address"] = address
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
        return pw.Run(folder)

    return run


@pytest.mark.parametrize("address", ADDRESSES)
def test_evaluate_asks_no_address_that_only_a_run_says(stranger: Callable[[str], pw.Run], address: str) -> None:
    run = stranger(address)
    with pytest.raises(DownloadError) as caught:
        pw.evaluate(run)
    assert f"only {run.folder} says that it was trained on {address}" in str(caught.value)
    assert f"name it yourself: evaluate {run.folder} {address}" in str(caught.value)


def test_evaluate_asks_no_address_that_only_a_bundle_says(bundle: pw.Bundle, tmp_path: Path) -> None:
    model = onnx.load(bundle.path)
    manifest = json.loads(bundle.engine.metadata[METADATA_KEY]) | {"format": 1}
    manifest["data"]["name"] = "https://localhost:1/set.tar"
    helper.set_model_props(model, {METADATA_KEY: json.dumps(manifest)})
    onnx.save(model, tmp_path / "stranger.onnx")
    with pytest.raises(DownloadError, match=r"https://localhost:1/set\.tar is not fetched: only .*stranger\.onnx says"):
        pw.evaluate(str(tmp_path / "stranger.onnx"))


def test_export_proves_a_strangers_run_on_made_pictures(stranger: Callable[[str], pw.Run], tmp_path: Path) -> None:
    made = pw.export(stranger(ADDRESSES[0]), tmp_path / "made.onnx")
    assert made.manifest.parity["of"] == "pictures made for the proof"


def test_what_lies_here_is_not_remote(tmp_path: Path) -> None:
    for address in ("digits", "/data/pets", "C:\\data", f"hf:{tmp_path}", "/data/set-{0..9}.tar", "scene:salinas"):
        assert not is_remote(address), address

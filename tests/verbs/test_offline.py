"""PENNYWEIGHT_OFFLINE: whoever would fetch asks no address, and says in a line what works without."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from pennyweight import data, zoo
from pennyweight.core.errors import DownloadError
from pennyweight.data.scenes.open import open_scene

FETCHING: dict[str, tuple[str, Callable[[], object]]] = {
    "published weights": ("", lambda: zoo.create("mobilenet_v2", weights="imagenet")),
    "torchvision's weights": ("", lambda: zoo.create("torchvision:resnet18", weights="imagenet")),
    "timm's weights on a hub": ("timm", lambda: zoo.create("timm:resnet18", weights="imagenet")),
    "timm's weights elsewhere": ("timm", lambda: zoo.create("timm:gcvit_xxtiny", weights="imagenet")),
    "a named set": ("", lambda: data.open("cifar10")),
    "a scene": ("", lambda: open_scene("scene:salinas")),
    "a hub's set": ("datasets", lambda: data.open("hf:nobody/nothing")),
    "shards by http": ("aiohttp", lambda: data.open("http://127.0.0.1:9/train-{0..1}.tar")),
    "shards on S3": ("s3fs", lambda: data.open("s3://nobody/train-{0..1}.tar")),
}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variable with an empty cache; what it changes of the hub's own settings is put back."""
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", "1")
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for module in ("huggingface_hub.constants", "datasets.config"):
        if find_spec(module.partition(".")[0]):
            monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("what", FETCHING)
def test_offline_nothing_is_fetched(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, fetching = FETCHING[what]
    if module:
        pytest.importorskip(module)
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)
    asked: list[object] = []

    def refuse(*arguments: object, **more: object) -> None:
        asked.append(arguments)
        raise OSError("no address may be asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(
        DownloadError, match=r"^PENNYWEIGHT_OFFLINE is set, so .* is not fetched; .*, or unset"
    ) as caught:
        fetching()
    assert "\n" not in str(caught.value)
    assert asked == []


def test_offline_a_hubs_set_on_this_machine_is_read(tmp_path: Path, write_shards: Callable[..., str]) -> None:
    pytest.importorskip("datasets")
    write_shards(tmp_path / "set", {"train": [20]})
    assert len(data.open(f"hf:{tmp_path / 'set'}").samples) == 20

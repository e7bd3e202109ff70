"""A small network with all that an export can get wrong, its manifest, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import pennyweight as pw
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import export_bundle
from pennyweight.runtime import Bundle

SIDE = 16


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


@pytest.fixture(scope="session")
def make_network() -> Callable[[int], nn.Module]:
    """`make_network(channels)`: batch norm with statistics of its own, dropout, wide logits; in training mode."""

    def make(channels: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(channels)
            network = nn.Sequential(
                nn.Conv2d(channels, 8, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU6(),
                nn.Conv2d(8, 8, 3, groups=8, padding=1),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Linear(8, 4),
            )
            with torch.no_grad():
                network[1].running_mean.normal_()
                network[1].running_var.uniform_(0.5, 2)
                network[7].weight.mul_(20)
        return network

    return make


@pytest.fixture(scope="session")
def make_manifest() -> Callable[[int], Manifest]:
    def make(channels: int) -> Manifest:
        return Manifest(
            network={"name": "small", "num_classes": 4, "in_channels": channels, "stem": "none", "config": {}},
            labels=("a", "b", "ç", "d e"),
            preprocess=Preprocess.for_input(SIDE, channels=channels),
            cost={"params": 1, "macs": 2},
            evaluation={"split": "test", "images": 5, "accuracy": 0.8, "accuracy_interval": [0.4, 0.9]},
            parity={},
            data={"name": "noise", "fingerprint": "sha256:0"},
            versions={"torch": torch.__version__},
            created="2026-01-01T00:00:00+00:00",
        )

    return make


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, noise: Callable[..., NDArray[np.uint8]]) -> list[Path]:
    """Files of several sizes, modes, formats and shades."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number in range(10):
        channels = None if number % 3 == 0 else 3
        pixels = noise(20 + 7 * number, 40 - 2 * number, channels=channels, seed=number)
        image = Image.fromarray(pixels // (1, 8)[number % 2] + (0, 100, 200)[number % 3] * (number % 2))
        paths.append(folder / f"{number}.{'jpg' if number % 2 else 'png'}")
        image.save(paths[-1])
    return paths


class Exported(NamedTuple):
    network: nn.Module
    bundle: Bundle
    pictures: list[Path]


@pytest.fixture(scope="session", params=[1, 3], ids=["grey", "colour"])
def exported(
    request: pytest.FixtureRequest,
    make_network: Callable[[int], nn.Module],
    make_manifest: Callable[[int], Manifest],
    pictures: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    """The network as a bundle, for grey and for colour input."""
    network = make_network(request.param)
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    bundle = export_bundle(network, path, make_manifest(request.param), pictures, of="files of the test")
    return Exported(network, bundle, pictures)


@pytest.fixture(scope="session")
def published_bundle(real_data: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Published weights of MobileNetV2 as a bundle, whose pictures are decoded whole."""
    weights = real_data / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors"
    made = made_once("published-bundle", lambda folder: pw.export("mobilenet_v2", folder / "m.onnx", weights=weights))
    return made / "m.onnx"

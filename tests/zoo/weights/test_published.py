"""Real weights give real answers: files of other libraries, read and translated, on real pictures.

The photographs are probably ones that ImageNet's networks were trained on, so their figures are regressions to notice
and no accuracy to quote. The CIFAR-10 pictures are of its test set.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight.cli import main
from pennyweight.core.images import Picture
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn import FromPixels, Network
from pennyweight.zoo import create
from pennyweight.zoo.weights.load import load_weights, open_file, put_weights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shelf() -> Path:
    root = os.environ.get("PENNYWEIGHT_DATA")
    if not root or not (Path(root) / "weights").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with published weights")
    return Path(root)


def correct(network: Network, preprocess: Preprocess, pictures: Iterable[tuple[Picture, int]]) -> float:
    """The share of pictures whose largest logit is their class."""
    from_pixels = FromPixels(preprocess.mean, preprocess.std)
    hits: list[bool] = []
    network.eval()
    pictures = list(pictures)
    for start in range(0, len(pictures), 50):
        batch = pictures[start : start + 50]
        pixels = torch.from_numpy(np.stack([preprocess(picture) for picture, _ in batch]))
        with torch.inference_mode():
            found = network(from_pixels(pixels)).argmax(dim=1).tolist()
        hits += [ours == label for ours, (_, label) in zip(found, batch, strict=True)]
    return sum(hits) / len(hits)


@pytest.mark.parametrize(
    ("name", "file", "least"),
    [
        ("mobilenet_v1_x0_5", "mobilenet_v1_x0_5-imagenet-tf_same-160.safetensors", 0.66),
    ],
)
def test_photographs_are_recognised(shelf: Path, name: str, file: str, least: float) -> None:
    checkpoint = open_file(shelf / "weights" / file)
    network = create(name, **checkpoint.config)
    put_weights(network, checkpoint)
    assert checkpoint.preprocess is not None
    accuracy = correct(network, checkpoint.preprocess, photographs(shelf))
    print(f"{name}: {accuracy:.3f}")
    assert accuracy >= least


def test_cifar_10_is_recognised(shelf: Path) -> None:
    network = create("shufflenet_v2_x0_5", num_classes=10, stem="cifar")
    load_weights(network, shelf / "weights" / "shufflenet_v2_x0_5-cifar10.pth")
    preprocess = Preprocess(size=32, resize=32, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    accuracy = correct(network, preprocess, cifar_10(shelf))
    print(f"shufflenet_v2_x0_5 on CIFAR-10: {accuracy:.3f}")
    assert accuracy >= 0.90


def test_cifar_10_is_recognised_by_the_command(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file says nothing of itself, so the command does."""
    pytest.importorskip("pyarrow")
    weights = str(shelf / "weights" / "shufflenet_v2_x0_5-cifar10.pth")
    said = ["--stem", "cifar", "--input", "32", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2023,0.1994,0.2010"]
    command = ["evaluate", "shufflenet_v2_x0_5", "cifar10-lossless", "--weights", weights, *said]
    assert main([*command, "--labels", "cifar10-lossless", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["images"] == 1000
    assert scored["accuracy"] >= 0.90


def photographs(shelf: Path) -> Iterator[tuple[Picture, int]]:
    root = shelf / "imagenet-photos"
    index = json.loads((root / "imagenet_class_index.json").read_text())
    labels = {synset: int(number) for number, (synset, _) in index.items()}
    for path in sorted(root.glob("*/*.jpg")):
        yield path, labels[path.parent.name]


def cifar_10(shelf: Path) -> Iterator[tuple[Picture, int]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(next((shelf / "cifar10-lossless").glob("test-*.parquet"))).to_pylist()
    for row in table:
        yield Image.open(io.BytesIO(row["image"]["bytes"])), row["label"]

"""`convert` writes files for ncnn that answer as the network does, or nothing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

import pennyweight as pw
from pennyweight.core.errors import BundleError, InputError, MissingPart, ParityError
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess

NCNN = "ncnn or pnnx is not installed"


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def converted(trained: pw.Run, notes: list[str], tmp_path_factory: pytest.TempPathFactory) -> pw.Converted:
    pytest.importorskip("ncnn", reason=NCNN)
    pytest.importorskip("pnnx", reason=NCNN)
    return pw.convert(
        pw.Run(shutil.copytree(trained.folder, tmp_path_factory.mktemp("ncnn") / "run")), note=notes.append
    )


def test_its_folder_has_the_files_and_the_manifest(
    converted: pw.Converted, bundle: pw.Bundle, notes: list[str]
) -> None:
    assert notes == ["files for ncnn do not say how typical a picture is; export writes a bundle that does"]
    assert "typicality" not in repr(converted)
    assert converted.folder.name == "model-ncnn"
    assert sorted(path.name for path in converted.folder.iterdir()) == ["manifest.json", "model.bin", "model.param"]
    manifest = Manifest.from_json((converted.folder / "manifest.json").read_text(encoding="utf-8"), name="it")
    assert manifest.parity["pictures"] == 64
    assert manifest.labels == bundle.manifest.labels
    assert manifest.preprocess == bundle.manifest.preprocess
    assert "for: ncnn" in repr(converted)
    assert not list(converted.folder.parent.glob(".model-ncnn-*"))


def test_the_lines_of_the_docs_answer_as_the_bundle_does(
    converted: pw.Converted, bundle: pw.Bundle, shapes: Path
) -> None:
    """With ncnn alone, and its own default precision."""
    import ncnn

    path = next(shapes.rglob("*.png"))
    labels = json.loads((converted.folder / "manifest.json").read_text(encoding="utf-8"))["labels"]
    pixels = bundle.manifest.preprocess(path)
    net = ncnn.Net()
    net.load_param(str(converted.folder / "model.param"))
    net.load_model(str(converted.folder / "model.bin"))
    extractor = net.create_extractor()
    height, width, _ = pixels.shape
    extractor.input("pixels", ncnn.Mat.from_pixels(pixels, ncnn.Mat.PixelType.PIXEL_RGB, width, height))
    probabilities = np.array(extractor.extract("probabilities")[1])
    (expected,) = bundle.classifier.predict([path])
    assert labels[int(probabilities.argmax())] == expected.label
    assert probabilities.max() == pytest.approx(expected.probability, abs=0.01)


def test_the_largest_value_of_each_channel_is_pooled(tmp_path: Path) -> None:
    """ncnn has no maximum over axes, which the head of a ResNet-9 is."""
    pytest.importorskip("ncnn", reason=NCNN)
    pytest.importorskip("pnnx", reason=NCNN)
    from pennyweight.deploy import NcnnEngine, TorchEngine, write_ncnn

    class Largest(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](x).amax((2, 3), keepdim=True).flatten(1))

    torch.manual_seed(0)
    network, preprocess = Largest(nn.Conv2d(3, 8, 3), nn.Linear(8, 4)).eval(), Preprocess.for_input(12)
    write_ncnn(network, preprocess, tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    found, expected = NcnnEngine(tmp_path)(pixels), TorchEngine(network, preprocess)(pixels)
    assert found.logits == pytest.approx(expected.logits, rel=1e-4, abs=1e-4)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "config"),
    [
        ("mobilenet_v1_x0_25", 96, {}),
        ("mobilenet_v2", 96, {}),
        ("efficientnet_b0", 96, {"depth": 0.3}),
        ("shufflenet_v1_g3_x0_25", 96, {}),
        ("shufflenet_v2_x0_5", 96, {}),
        ("resnet_9_x0_25", 32, {}),
        ("resnet18", 64, {}),
        ("se_resnext50_32x4d", 64, {"blocks": (1, 1, 1, 1)}),
        ("vit_ti_16", 224, {}),
        ("timm:mobilenetv3_small_050", 96, {}),
        ("torchvision:densenet121", 64, {}),
    ],
)
def test_families_are_converted(name: str, side: int, config: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason=NCNN)
    pytest.importorskip("pnnx", reason=NCNN)
    from pennyweight.deploy import NcnnEngine, TorchEngine, write_ncnn

    torch.manual_seed(0)
    small = models.DenseNet(16, (2, 3, 2), 32, num_classes=10) if "densenet" in name else None
    network, preprocess = (small or pw.create(name, num_classes=10, **config)).train(), Preprocess.for_input(side)
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(4, 3, side, side))  # statistics of batch norms
    write_ncnn(network.eval(), preprocess, tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (16, side, side, 3), dtype=np.uint8)
    found, expected = NcnnEngine(tmp_path)(pixels), TorchEngine(network, preprocess)(pixels)
    print(f"{name}: probabilities within {np.abs(found.probabilities - expected.probabilities).max():.1e}")
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_files_that_answer_otherwise_are_not_kept(
    trained: pw.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ncnn", reason=NCNN)
    pytest.importorskip("pnnx", reason=NCNN)
    from pennyweight.deploy import NcnnEngine

    answer = NcnnEngine._answer
    monkeypatch.setattr(NcnnEngine, "_answer", lambda self, picture: answer(self, picture // 2))
    with pytest.raises(ParityError, match="nothing was written"):
        pw.convert(trained, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusals below come before ncnn is needed."""
    monkeypatch.setattr("pennyweight.verbs.convert.require_ncnn", lambda: None)


def test_operators_that_ncnn_lacks_are_named() -> None:
    from pennyweight.deploy.ncnn_files import _require_converted

    lines = ("Gather Gather_1 param axis=0", "GatherND GatherND_2 param batch_dims=0", "Gather Gather_3 param axis=0")
    log = "".join(f"ignore {line}\n" for line in lines)
    with pytest.raises(InputError, match="ncnn cannot execute this network: it lacks Gather, GatherND; nothing was"):
        _require_converted(0, log, Path("none"))
    with pytest.raises(InputError, match=r"pnnx cannot convert this network \(broken\)"):
        _require_converted(1, "one\nbroken\n", Path("none"))


def test_a_folder_that_is_there_stays(trained: pw.Run, bundle: pw.Bundle, pretending: None, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists already; nothing is overwritten"):
        pw.convert(trained, tmp_path)
    with pytest.raises(BundleError, match="there is no folder"):
        pw.convert(trained, tmp_path / "no" / "where")
    with pytest.raises(InputError, match="is a bundle already"):
        pw.convert(str(bundle.path), tmp_path / "x")


def test_an_unknown_engine(trained: pw.Run, pretending: None) -> None:
    wrong: Any = "nccn"
    with pytest.raises(InputError, match="unknown engine 'nccn'; did you mean 'ncnn'"):
        pw.convert(trained, to=wrong)


def test_without_ncnn_the_command_is_named(trained: pw.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(MissingPart, match=r"needs ncnn, .*\[ncnn\]"):
        pw.convert(trained)

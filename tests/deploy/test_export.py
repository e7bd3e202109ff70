"""A bundle answers as its network does, says so itself, and is whole or absent."""

import getpass
import os
import socket
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pennyweight import zoo
from pennyweight.core.errors import InputError, ParityError, PennyweightError
from pennyweight.core.manifest import Manifest
from pennyweight.deploy import export_bundle
from pennyweight.deploy.export import export_graph
from pennyweight.deploy.parity import TOLERANCE
from pennyweight.runtime import Bundle, Outputs
from pennyweight.runtime.onnx_engine import OnnxEngine

MakeNetwork = Callable[[int], nn.Module]
MakeManifest = Callable[[int], Manifest]


def by_hand(network: nn.Module, bundle: Bundle, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """(probabilities, logits) of the network, with scaling and softmax written out anew."""
    preprocess = bundle.manifest.preprocess
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(v).double().view(1, -1, 1, 1) for v in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        logits = network.eval()(((x - mean) / std).float())
    return torch.softmax(logits, 1), logits


@pytest.mark.parametrize("batch", [1, 7])
def test_it_answers_as_the_network_from_files(exported: Any, batch: int) -> None:
    network, bundle, pictures = exported
    preprocess = bundle.manifest.preprocess
    for start in range(0, len(pictures) - batch + 1, batch):
        files = pictures[start : start + batch]
        pixels = np.stack([preprocess(path) for path in files])
        probabilities, logits = by_hand(network, bundle, pixels)
        outputs = bundle.engine(pixels)
        assert outputs.logits == pytest.approx(logits.numpy(), rel=1e-4, abs=1e-4)
        predictions = bundle.classifier.predict(files, top=4)
        for row, prediction in zip(probabilities, predictions, strict=True):
            assert prediction.label == bundle.manifest.labels[int(row.argmax())]
            named = dict(prediction.top)
            assert [named[label] for label in bundle.manifest.labels] == pytest.approx(row.tolist(), abs=1e-4)


def test_answers_differ_between_pictures(exported: Any) -> None:
    """Otherwise the check above would hold for a constant."""
    predictions = exported.bundle.classifier.predict(exported.pictures)
    assert len({prediction.label for prediction in predictions}) > 1
    assert max(p.probability for p in predictions) - min(p.probability for p in predictions) > 0.05


def test_the_graph_takes_uint8_channels_last_and_names_what_it_gives(exported: Any) -> None:
    """What a user of plain onnxruntime sees."""
    session = onnxruntime.InferenceSession(exported.bundle.path, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    size, _, channels = exported.bundle.manifest.preprocess.shape
    assert (taken.name, taken.type) == ("images", "tensor(uint8)")
    assert isinstance(taken.shape[0], str)
    assert taken.shape[1:] == [size, size, channels]
    assert [(out.name, out.type, out.shape[1]) for out in session.get_outputs()] == [
        ("probabilities", "tensor(float)", 4),
        ("logits", "tensor(float)", 4),
        ("features", "tensor(float)", 8),
    ]
    onnx.checker.check_model(exported.bundle.path, full_check=True)


def test_the_manifest_says_all_and_how_it_was_proved(exported: Any, make_manifest: MakeManifest) -> None:
    received = Bundle(exported.bundle.path).manifest
    given = make_manifest(received.preprocess.channels)
    for field in ("network", "labels", "preprocess", "cost", "evaluation", "data", "versions", "created"):
        assert getattr(received, field) == getattr(given, field)
    proof = received.parity
    assert (proof["pictures"], proof["same_top1"]) == (len(exported.pictures), len(exported.pictures))
    assert proof["of"] == "files of the test"
    assert 0 <= proof["largest_probability_difference"] <= proof["tolerance"] == TOLERANCE


def test_the_file_names_nothing_of_this_machine(exported: Any) -> None:
    content = exported.bundle.path.read_bytes()
    own = [
        str(exported.bundle.path.parent),
        str(exported.pictures[0].parent),
        str(Path(__file__).parents[2]),
        str(Path.cwd()),
        str(Path.home()) + os.sep,
        sysconfig.get_path("purelib"),
        "site-packages",
        "pennyweight/deploy",
        ".py",
        getpass.getuser() + "@",
        socket.gethostname(),
    ]
    assert [text for text in own if text.encode() in content] == []


def test_it_is_one_file(exported: Any) -> None:
    assert [path.name for path in exported.bundle.path.parent.iterdir()] == ["model.onnx"]
    assert not any(tensor.external_data for tensor in onnx.load(exported.bundle.path).graph.initializer)


def test_without_pictures_some_are_made_and_exporting_prints_nothing(
    make_network: MakeNetwork, make_manifest: MakeManifest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = export_bundle(make_network(1), tmp_path / "m.onnx", make_manifest(1), [], of="nothing")
    assert capfd.readouterr() == ("", "")
    assert bundle.manifest.parity["of"] == "pictures made for the proof"
    assert bundle.manifest.parity["pictures"] >= 8
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


# What must not become a bundle


class Tampered(OnnxEngine):
    """An engine whose graph is not the network's: its first answer is off by a little more than is allowed."""

    def __call__(self, pixels: np.ndarray) -> Outputs:
        outputs = super().__call__(pixels)
        probabilities = outputs.probabilities.copy()
        probabilities[0, 0] += 2 * TOLERANCE
        return Outputs(probabilities, outputs.logits)


class Broken(OnnxEngine):
    """An engine that answers with what is no number."""

    def __call__(self, pixels: np.ndarray) -> Outputs:
        outputs = super().__call__(pixels)
        return Outputs(outputs.probabilities * np.float32(np.nan), outputs.logits)


@pytest.mark.parametrize(("engine", "before"), [(Tampered, None), (Broken, b"the bundle of yesterday")])
def test_a_graph_that_answers_otherwise_is_not_written(
    make_network: MakeNetwork,
    make_manifest: MakeManifest,
    pictures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: type[OnnxEngine],
    before: bytes | None,
) -> None:
    path = tmp_path / "model.onnx"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr("pennyweight.deploy.export.OnnxEngine", engine)
    with pytest.raises(ParityError, match=r"not answer as the network.*where the engine joins") as raised:
        export_bundle(make_network(3), path, make_manifest(3), pictures, of="files")
    assert "\n" not in str(raised.value)
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (before is not None)


def test_a_network_that_changes_after_its_graph_was_taken_is_noticed(
    make_network: MakeNetwork,
    make_manifest: MakeManifest,
    pictures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same through the graph itself: weights that differ by one percent."""
    network = make_network(3)
    export = torch.onnx.export

    def changed(graph: nn.Module, *args: Any, **options: Any) -> Any:
        own, network[7].weight = network[7].weight, nn.Parameter(network[7].weight.detach() * 1.01)
        program = export(graph, *args, **options)
        network[7].weight = own
        return program

    monkeypatch.setattr(torch.onnx, "export", changed)
    with pytest.raises(
        ParityError, match=r"the first layer that differs is 7 \(Linear\), by up to .*nothing was written"
    ):
        export_bundle(network, tmp_path / "model.onnx", make_manifest(3), pictures, of="files")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_bundle_that_was_there(
    make_network: MakeNetwork, make_manifest: MakeManifest, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the bundle of yesterday")
    with pytest.raises(PennyweightError, match=r"gone\.png"):
        export_bundle(make_network(3), path, make_manifest(3), [tmp_path / "gone.png"], of="files")
    assert path.read_bytes() == b"the bundle of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_network_that_torch_cannot_export_is_refused_in_one_line(make_manifest: MakeManifest, tmp_path: Path) -> None:
    class Deciding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    with pytest.raises(
        InputError, match=r"torch cannot write this network as ONNX: \S.*; nothing was written$"
    ) as raised:
        export_bundle(Deciding(), tmp_path / "m.onnx", make_manifest(3), [], of="")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_attention_whose_fused_form_the_exporter_cannot_follow_is_exported(
    make_manifest: MakeManifest, tmp_path: Path
) -> None:
    small = {"depth": 1, "embed_dim": 24, "num_heads": 2, "img_size": 16, "patch_size": 4}
    network = zoo.create("timm:beit_base_patch16_224", num_classes=4, **small).eval()
    bundle = export_bundle(network, tmp_path / "m.onnx", make_manifest(3), [], of="")
    assert bundle.manifest.parity["same_top1"] == 16


def test_weights_that_no_onnx_file_holds_are_refused_before_the_work(make_manifest: MakeManifest) -> None:
    network = nn.Linear(50_000, 11_000, device="meta")
    with pytest.raises(InputError, match=r"2,?200\S* \wB of weights, and one ONNX file holds at most 2,?1\d\d"):
        export_graph(network, make_manifest(3).preprocess)

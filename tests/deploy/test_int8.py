"""Int8 answers within the limit, keeps in float what it must, and depends on no processor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.deploy import BundleGraph, Int8Error, Int8Pictures, export_bundle, to_int8
from pennyweight.deploy.export import export_graph
from pennyweight.report.model_card import model_card
from pennyweight.runtime import Bundle
from pennyweight.runtime.onnx_engine import OnnxEngine

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def shades() -> Pixels:
    """Pictures of 16 pixels, each of its own brightness, so that the answers differ."""
    draw = np.random.default_rng(0)
    bright = np.linspace(0, 200, 48).astype(np.uint8)[:, None, None, None]
    return bright + draw.integers(0, 50, (48, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def graph(make_network: Callable[[int], nn.Module], make_manifest: Callable[[int], Manifest]) -> onnx.ModelProto:
    return export_graph(make_network(3).eval(), make_manifest(3).preprocess).model


def answers(model: onnx.ModelProto, pixels: Pixels, folder: Path) -> NDArray[np.float32]:
    onnx.save(model, folder / "graph.onnx")
    return OnnxEngine(folder / "graph.onnx")(pixels).probabilities


def pictures(shades: Pixels, targets: NDArray[np.int64] | None = None) -> Int8Pictures:
    return Int8Pictures(
        calibration=shades[::2], calibrated_on="even", gate=shades[1::2], targets=targets, gated_on="odd"
    )


@pytest.fixture(scope="module")
def uneven(make_manifest: Callable[[int], Manifest], shades: Pixels) -> onnx.ModelProto:
    """A network that one layer makes hard: a channel that nothing uses is 10,000 times as large as the others."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 128),
            nn.ReLU(),
            nn.Linear(128, 4),
        )
        with torch.no_grad():
            network[0].weight[0] *= 10_000
            network[1].weight[:, 0] = 0
            # Logits of mean 0 and deviation 1: the brightness decides the answer.
            logits = BundleGraph(network, make_manifest(3).preprocess)(torch.from_numpy(shades))[1]
            mean, deviation = logits.mean(0), logits.std(0)
            network[7].weight /= deviation[:, None]
            network[7].bias.copy_((network[7].bias - mean) / deviation)
    return export_graph(network.eval(), make_manifest(3).preprocess).model


def test_it_answers_as_float_and_says_so(graph: onnx.ModelProto, shades: Pixels, tmp_path: Path) -> None:
    expected = answers(graph, shades[1::2], tmp_path)
    quantized, record = to_int8(graph, pictures(shades, expected.argmax(1)), max_drop=0.1)
    received = answers(quantized, shades[1::2], tmp_path)
    gate = record["gate"]
    same = int((received.argmax(1) == expected.argmax(1)).sum())
    assert gate["same_top1"] == same >= 22
    assert gate["int8_accuracy"] == pytest.approx(same / 24)
    assert (gate["float_accuracy"], gate["measure"], gate["pictures"]) == (1, "accuracy", 24)
    assert gate["largest_probability_difference"] == pytest.approx(np.abs(received - expected).max(), abs=1e-6) != 0
    assert record["layers_in_float"] == []
    assert (record["layers"], record["calibration"]) == (3, {"pictures": 24, "of": "even"})


def test_preprocessing_and_softmax_stay_in_float(graph: onnx.ModelProto, shades: Pixels, tmp_path: Path) -> None:
    quantized, _ = to_int8(graph, pictures(shades), max_drop=0.5)
    made_by = {output: node for node in quantized.graph.node for output in node.output}
    logits = made_by["probabilities"].input[0]
    assert made_by["probabilities"].op_type == "Softmax"
    assert made_by[logits].op_type == "Gemm"  # not a DequantizeLinear: logits of 8 bits would tie
    first = next(node for node in quantized.graph.node if node.op_type == "QuantizeLinear")
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    largest = 255 * values[first.input[1]]
    assert 0.5 < largest < 10  # pixels of 0 to 255 are normalized before


def test_products_of_dense_layers_cannot_overflow_16_bits(
    graph: onnx.ModelProto, shades: Pixels, tmp_path: Path
) -> None:
    """Two products of a uint8 activation and a weight are added in 16 bits by x86 without VNNI."""
    quantized, _ = to_int8(graph, pictures(shades), max_drop=0.5)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    largest = {
        array.shape: int(np.abs(array.astype(int)).max())
        for array in values.values()
        if array.dtype == np.int8 and array.ndim > 1
    }
    depthwise = (8, 1, 3, 3)
    assert set(largest) == {(8, 3, 3, 3), depthwise, (4, 8)}
    assert all(2 * 255 * most < 2**15 for shape, most in largest.items() if shape != depthwise)
    assert largest[depthwise] > 64  # its kernels add in 32 bits


def test_layers_that_lose_too_much_stay_in_float(uneven: onnx.ModelProto, shades: Pixels, tmp_path: Path) -> None:
    lines: list[str] = []
    expected = answers(uneven, shades[1::2], tmp_path)
    assert len(set(expected.argmax(1))) > 1
    quantized, record = to_int8(uneven, pictures(shades), max_drop=0.2, note=lines.append)
    assert record["layers_in_float"] == ["0", "1"]  # the layer, and the one that reads it
    assert record["gate"]["drop"] <= 0.2 == record["gate"]["max_drop"]
    assert record["gate"]["measure"] == "agreement"
    received = answers(quantized, shades[1::2], tmp_path)
    assert (received.argmax(1) == expected.argmax(1)).mean() == record["gate"]["int8_accuracy"]
    assert len(lines) == 1
    assert lines[0].startswith("int8 in all 4 layers loses ")


def test_what_cannot_be_reached_is_refused_with_the_losses(
    uneven: onnx.ModelProto, shades: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.deploy.int8.MOST_IN_FLOAT", 0.01)
    with pytest.raises(Int8Error, match=r"above the allowed 1\.00%; nothing was written.*efficientnet_lite0") as caught:
        to_int8(uneven, pictures(shades), max_drop=0.01)
    losses = [each.loss for each in caught.value.layers]
    assert losses == sorted(losses, reverse=True)
    assert {each.layer for each in caught.value.layers} == {"0", "1", "5", "7"}
    assert {each.layer for each in caught.value.layers[:2]} == {"0", "1"}
    assert losses[1] > 10 * losses[2]


def test_a_network_without_products_is_refused(shades: Pixels, make_manifest: Callable[[int], Manifest]) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InputError, match="no convolution or product of matrices"):
        to_int8(export_graph(network.eval(), make_manifest(3).preprocess).model, pictures(shades))


def test_a_bundle_in_int8_opens_and_earlier_versions_call_it_newer(
    make_network: Callable[[int], nn.Module],
    make_manifest: Callable[[int], Manifest],
    shades: Pixels,
    tmp_path: Path,
) -> None:
    def quantize(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, object]]:
        return to_int8(model, pictures(shades), max_drop=0.5)

    path = tmp_path / "int8.onnx"
    bundle = export_bundle(make_network(3), path, make_manifest(3), list(shades[:4]), of="shades", quantize=quantize)
    kept = json.loads(bundle.engine.metadata[METADATA_KEY])
    assert kept["format"] == 3
    assert kept["quantization"]["gate"]["of"] == "odd"
    assert bundle.manifest == Bundle(path).manifest
    assert "int8: answers " in repr(bundle)
    schema = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(kept)
    assert set(kept["quantization"]) == set(schema["properties"]["quantization"]["required"])
    card = model_card(bundle.manifest, "int8.onnx", 1000)
    for line in ("test accuracy of the float network", "from its float graph", "| int8 | answers ", "calibrated on 24"):
        assert line in card
    with pytest.raises(BundleError, match="newer Pennyweight"):
        Manifest.from_json(json.dumps(kept | {"format": 4}), name="it")


def test_a_float_bundle_stays_readable_for_earlier_versions(make_manifest: Callable[[int], Manifest]) -> None:
    kept = json.loads(make_manifest(3).to_json())
    assert kept["format"] == 2
    assert "quantization" not in kept

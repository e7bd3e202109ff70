"""A bundle made by hand, whose answers are known: the mean colour of a picture decides."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.seal import seal

LABELS = ("red", "green", "blue")
SIDE = 6


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return Manifest(
        network={"name": "colours", "num_classes": 3, "in_channels": 3, "stem": "none", "config": {}},
        labels=LABELS,
        preprocess=Preprocess.for_input(SIDE),
        cost={"params": 0, "macs": 0},
        evaluation=None,
        parity={},
        data={"name": "colours", "fingerprint": "sha256:0"},
        versions={},
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture(scope="session")
def plain_model() -> onnx.ModelProto:
    """Logits are the means of red, green and blue in units of 32 levels; no manifest."""
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "levels"], [LOGITS]),
        helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in (PROBABILITIES, LOGITS)],
        initializer=[
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("levels", TensorProto.FLOAT, [], [32.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="session")
def bundle_path(plain_model: onnx.ModelProto, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    path = tmp_path_factory.mktemp("bundle") / "colours.onnx"
    onnx.save(model, path)
    seal(path)
    return path

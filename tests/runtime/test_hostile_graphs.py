"""Files that are valid ONNX and would run without end, read other files or fill the memory are not opened."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.core.seal import seal
from pennyweight.runtime import Bundle
from pennyweight.runtime.safe_graph import require_safe

Change = Callable[[onnx.ModelProto], None]


def loops(model: onnx.ModelProto) -> None:
    """2^62 turns that each pass a number on."""
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [])
    kept = helper.make_tensor_value_info("k", TensorProto.BOOL, [])
    turn = helper.make_tensor_value_info("n", TensorProto.INT64, [])
    out = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("k2", 9), ("v2", 1))]
    nodes = [helper.make_node("Identity", ["k"], ["k2"]), helper.make_node("Identity", ["v"], ["v2"])]
    body = helper.make_graph(nodes, "body", [turn, kept, value], out)
    for name, array in (("turns", np.int64(1 << 62)), ("go", np.bool_(1)), ("start", np.float32(0))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    model.graph.node.append(helper.make_node("Loop", ["turns", "go", "start"], ["end"], body=body))


def elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def vast(model: onnx.ModelProto) -> None:
    model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20], raw_data=b"0000")


def negative(model: onnx.ModelProto) -> None:
    model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[-5, 3], raw_data=b"0000")


def grown(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([60_000, 60_000]), "sizes"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sizes"], ["much"]))


def grown_by_a_constant(model: onnx.ModelProto) -> None:
    sizes = helper.make_tensor("s", TensorProto.INT64, [2], [60_000, 60_000])
    model.graph.node.append(helper.make_node("Constant", [], ["sizes"], value=sizes))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1), np.float32), "one"))
    model.graph.node.append(helper.make_node("Expand", ["one", "sizes"], ["much"]))


def hidden(model: onnx.ModelProto) -> None:
    """A loop inside a function."""
    inner = onnx.ModelProto()
    loops(inner)
    model.functions.append(
        helper.make_function("own", "F", [], ["end"], list(inner.graph.node), [helper.make_opsetid("", 20)])
    )


HOSTILE: dict[str, tuple[Change, str]] = {
    "endless loop": (loops, "a loop or a branch"),
    "loop in a function": (hidden, "a loop or a branch"),
    "weights in another file": (elsewhere, "'w' in another file"),
    "vast weight": (vast, "a weight of 1048576×1048576 values in 4 bytes"),
    "negative size": (negative, "a weight of -5×3 values"),
    "vast constant": (grown, "60000×60000 values by ConstantOfShape"),
    "vast expansion": (grown_by_a_constant, "60000×60000 values by Expand"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_graph_is_refused_in_a_line(
    plain_model: onnx.ModelProto, manifest: Manifest, tmp_path: Path, kind: str
) -> None:
    change, reason = HOSTILE[kind]
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    change(model)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    path = tmp_path / "hostile.onnx"
    path.write_bytes(model.SerializeToString())
    seal(path)
    with pytest.raises(BundleError, match=reason) as raised:
        Bundle(path)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_message_are_left_to_the_engine(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for length in (0, 1, 10, 1000, 100_000):
        path = tmp_path / "noise"
        path.write_bytes(draw.integers(0, 256, length, dtype=np.uint8).tobytes())
        require_safe(path)


def test_every_cut_of_a_bundle_is_read_without_an_error_of_its_own(
    plain_model: onnx.ModelProto, tmp_path: Path
) -> None:
    whole = plain_model.SerializeToString()
    path = tmp_path / "cut"
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with suppress(BundleError):  # of a tensor that has lost its end
            require_safe(path)

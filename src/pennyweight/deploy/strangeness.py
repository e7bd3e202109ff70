"""Strangeness of a picture as an output of an exported graph: a few products after the features."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pennyweight.core.errors import ParityError
from pennyweight.core.images import Picture, Pixels
from pennyweight.core.manifest import FEATURES, LOGITS, STRANGENESS
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.typicality import TINY, HeldOut, Training
from pennyweight.deploy.graph import TorchEngine
from pennyweight.runtime.onnx_engine import OnnxEngine

__all__ = ["give_strangeness", "typical_output"]

BATCH = 32
TOLERANCE = 1e-3
"""Largest allowed difference of the strangeness, as a share of its range over the held-out pictures."""

LEAST_FOR_SLOPE = 16
PREFIX = "strangeness/"
"""Beginning of the names of the values that are added."""


def give_strangeness(model: onnx.ModelProto, training: Training) -> None:
    """Add the output STRANGENESS to a graph with the outputs FEATURES and LOGITS, in place.

    No operator before is changed, so probabilities keep their bits. The directions are stored in 16 bits.

    Args:
        model: Graph in float or in int8; the added operators are in float.
        training: Picture of the training features.
    """
    constants = {
        "mean": training.mean.astype(np.float32),
        "directions": np.ascontiguousarray(training.directions.T),
        "scale": np.float32(training.scale),
        "tiny": np.float32(TINY),
        "axis": np.array([1], np.int64),
    }
    graph = model.graph
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), PREFIX + name) for name, value in constants.items()
    )
    steps: tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...] = (
        ("ReduceL2", (FEATURES, "axis"), "length", {"keepdims": 1}),
        ("Max", ("length", "tiny"), "divisor", {}),
        ("Div", (FEATURES, "divisor"), "unit", {}),
        ("Sub", ("unit", "mean"), "centered", {}),
        ("Cast", ("directions",), "float_directions", {"to": TensorProto.FLOAT}),
        ("MatMul", ("centered", "float_directions"), "along", {}),
        ("ReduceSumSquare", ("centered", "axis"), "square", {"keepdims": 0}),
        ("ReduceSumSquare", ("along", "axis"), "square_along", {"keepdims": 0}),
        ("Sub", ("square", "square_along"), "far", {}),
        ("Mul", ("far", "scale"), "scaled", {}),
        ("ReduceLogSumExp", (LOGITS, "axis"), "total", {"keepdims": 0}),
        ("Sub", ("scaled", "total"), STRANGENESS, {}),
    )
    outer = (FEATURES, LOGITS, STRANGENESS)
    for kind, inputs, output, attributes in steps:
        named = [name if name in outer else PREFIX + name for name in (*inputs, output)]
        graph.node.append(helper.make_node(kind, named[:-1], named[-1:], PREFIX + output, **attributes))
    graph.output.append(helper.make_tensor_value_info(STRANGENESS, TensorProto.FLOAT, ["batch"]))


def typical_output(
    model: onnx.ModelProto,
    held_out: HeldOut,
    network: TorchEngine,
    preprocess: Preprocess,
    pictures: Sequence[Picture],
) -> dict[str, Any]:
    """Add the output STRANGENESS to a graph, and return its calibration for the manifest.

    A float graph is proved to measure as the network does. An int8 graph answers otherwise: a straight line through the
    pictures of the proof moves the calibration to its measure.

    Args:
        model: Graph with the output FEATURES, changed in place.
        held_out: Calibration by the network in float.
        network: Engine of the network in float, with the training features.
        preprocess: Preprocessing of the network.
        pictures: Pictures of the proof.

    Raises:
        ParityError: A float graph measures otherwise than the network.
    """
    pixels = np.stack([preprocess(picture) for picture in pictures])
    is_float = all(node.op_type != "DequantizeLinear" for node in model.graph.node)
    give_strangeness(model, network.training)
    expected = _strangeness(network, pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        onnx.save(model, path)
        received = _strangeness(OnnxEngine(path), pixels)
    furthest = float(np.abs(expected - received).max())
    if is_float:
        allowed = TOLERANCE * float(np.ptp(np.concatenate([held_out.strangeness, expected])))
        if not furthest <= allowed:
            raise ParityError(
                f"the bundle does not measure typicality as the network: strangeness differs by up to {furthest:.1e} "
                f"(allowed {allowed:.1e}); nothing was written"
            )
        return held_out.to_dict() | {"largest_difference": furthest}
    slope, offset = _line(expected, received)
    moved = held_out.moved(slope, offset).to_dict()
    return moved | {"largest_difference": furthest, "int8": {"slope": slope, "offset": offset, "pictures": len(pixels)}}


def _strangeness(engine: TorchEngine | OnnxEngine, pixels: Pixels) -> NDArray[np.float32]:
    parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    return np.concatenate([engine.with_strangeness(part).strangeness for part in parts])


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Return slope and offset of the least-squares line; of too few pictures, the mean difference alone."""
    across = float(np.square(x - x.mean()).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / across if len(x) >= LEAST_FOR_SLOPE and across else 1.0
    slope = slope if slope > 0 else 1.0
    return slope, float(y.mean() - slope * x.mean())

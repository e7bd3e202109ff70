"""Int8 forms of an ONNX graph: weights and activations between pairs of QuantizeLinear and DequantizeLinear (QDQ).

onnxruntime's quantizer does the work: static ranges from calibration pictures, weights per output channel. The answers
must not depend on the processor. x86 without VNNI adds two products in 16 bits, where those of 8-bit weights overflow.
So weights have 7 bits, except in depthwise convolutions, whose kernels add in 32 bits.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from pennyweight.core.errors import InputError
from pennyweight.core.images import Pixels
from pennyweight.core.manifest import INPUT
from pennyweight.core.telemetry import switch_off_telemetry

__all__ = ["METHOD", "Layer", "Quantizer"]

METHOD = (
    "static QDQ by onnxruntime: int8 weights per output channel (7 bits outside depthwise convolutions), uint8 "
    "activations, minimum and maximum of the calibration pictures"
)
BATCH = 16
"""Pictures that calibration computes together."""
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that have weights."""
FLOAT_OPERATORS = frozenset({"Softmax", "ArgMax", "TopK", "CumSum", "Gather", "GatherElements", "Where"})
"""Operators that stay in float: their values are probabilities, positions or choices."""


@dataclass(frozen=True)
class Layer:
    """Layer with weights, and the operators after it up to the next one: they are quantized together."""

    name: str
    """Name in the network, such as trunk.0.layers.1."""
    nodes: tuple[str, ...]
    """Names of its operators in the graph."""
    weights: int
    """Number of its weights."""


class Quantizer:
    """Quantizer of one graph, calibrated once: `quantize` makes forms with other layers in float."""

    def __init__(self, model: onnx.ModelProto, calibration: Pixels) -> None:
        """Measure the range of each tensor.

        Args:
            model: Float graph with its preprocessing inside.
            calibration: Pictures (N, H, W, C) that the ranges are measured on.

        Raises:
            InputError: The graph has no layer that can be quantized.
        """
        self._model = onnx.shape_inference.infer_shapes(_with_names(model))
        self.layers = _layers(self._model)
        if not self.layers:
            raise InputError("the network has no convolution or product of matrices that int8 could compute")
        known = _tools().registry
        self._operators = sorted(
            {node.op_type for node in self._model.graph.node if node.op_type not in FLOAT_OPERATORS}
            & {*known.QLinearOpsRegistry, *known.QDQRegistry}
        )
        self._overrides = _seven_bits(self._model)
        self._ranges = self._calibrate(calibration)

    def quantize(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        """Return the graph with every layer in int8 but those named in `in_float`, which may not be all."""
        nodes = [node for layer in self.layers if layer.name not in in_float for node in layer.nodes]
        assert nodes, "onnxruntime takes no names for all names"
        options = {
            "TensorQuantOverrides": self._overrides,
            # Logits of 8 bits would tie: classes could not be told apart that the network tells apart.
            "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
        }
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        tools = _tools()
        with _quiet():
            quantizer = tools.QDQQuantizer(
                model,
                per_channel=True,
                reduce_range=False,
                weight_qType=tools.QuantType.QInt8,
                activation_qType=tools.QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=nodes,
                nodes_to_exclude=[],
                op_types_to_quantize=list(self._operators),
                extra_options=options,
            )
            quantizer.quantize_model()
        quantized: onnx.ModelProto = quantizer.model.model
        del quantized.metadata_props[:]
        return quantized

    def _calibrate(self, pictures: Pixels) -> Any:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            graph, augmented = Path(folder, "graph.onnx"), Path(folder, "augmented.onnx")
            onnx.save(self._model, graph)
            calibrator = _tools().create_calibrator(graph, self._operators, str(augmented))
            calibrator.collect_data(_Reader(pictures))
            return calibrator.compute_data()


class _Reader:
    """Batches of pictures, as onnxruntime's calibration asks for them."""

    def __init__(self, pictures: Pixels) -> None:
        self._batches = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))

    def get_next(self) -> dict[str, Pixels] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}


def _tools() -> Any:
    """Import onnxruntime's quantizer, which nothing but int8 needs."""
    switch_off_telemetry()
    from onnxruntime import quantization

    return quantization


def _with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which every operator has a name of its own."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    taken: set[str] = set()
    for number, node in enumerate(copied.graph.node):
        if not node.name or node.name in taken:
            node.name = f"operator_{number}"
        taken.add(node.name)
    return copied


def _layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """Group the operators by the latest layer with weights before them; what comes before the first stays in float."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found: list[tuple[str, list[str], int]] = []
    for node in model.graph.node:
        if node.op_type in FLOAT_OPERATORS:
            continue
        if node.op_type in PRODUCTS and len(shape := shapes.get(node.input[1], ())) > 1:
            found.append((_name(node), [node.name], int(np.prod(shape))))
        elif found:
            found[-1][1].append(node.name)
    names = [name for name, _, _ in found]
    return tuple(
        Layer(name if names.count(name) == 1 else f"{name} ({nodes[0]})", tuple(nodes), weights)
        for name, nodes, weights in found
    )


def _name(node: onnx.NodeProto) -> str:
    """Return the name of a layer as the network has it, where the exporter kept it, else the operator's name."""
    weight: str = node.input[1]
    if not weight.startswith("network."):
        return str(node.name)
    return weight.removeprefix("network.").removesuffix(".weight")


def _seven_bits(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """Return onnxruntime's settings for weights of 7 bits: those of every layer but depthwise convolutions."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    settings: dict[str, list[dict[str, Any]]] = {}
    kind = _tools().QuantType.QInt8
    for node in model.graph.node:
        weight = node.input[1] if node.op_type in PRODUCTS else ""
        shape = shapes.get(weight, ())
        if len(shape) < 2:
            continue
        groups = next((value.i for value in node.attribute if value.name == "group"), 1)
        if node.op_type == "Conv" and shape[1] == 1 and groups == shape[0]:
            continue
        axis = _channel_axis(node, len(shape))
        settings[weight] = [{"axis": axis, "quant_type": kind, "symmetric": True, "reduce_range": True}]
    return settings


def _channel_axis(node: onnx.NodeProto, sides: int) -> int:
    """Return the axis of a weight's output channels."""
    if node.op_type == "Gemm":
        transposed = next((value.i for value in node.attribute if value.name == "transB"), 0)
        return 0 if transposed else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": sides - 1}[node.op_type]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantizer's advice, which it writes to the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

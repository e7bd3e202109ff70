"""Features of a network: what its last linear layer takes, in an exported graph and in torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx
from onnx import TensorProto, helper
from torch import Tensor, nn

from pennyweight.core.manifest import FEATURES, LOGITS

__all__ = ["give_features", "recorded_features"]

PASSED = ("QuantizeLinear", "DequantizeLinear")
"""Operators between features and an int8 layer, which takes them rounded."""
AROUND = ("Add", "Sub", "Mul", "Div", "Reshape", "Squeeze", "Flatten", "Identity", "Cast")
"""Operators between the last layer and the logits: bias, scale, shape."""


def give_features(model: onnx.ModelProto) -> int | None:
    """Make the input of a graph's last linear layer an output with the name FEATURES, in place.

    Nothing is added to the graph but the name, so that it is as fast as before.

    Args:
        model: Graph in float or in int8, with shapes.

    Returns:
        The number of features; None if the graph does not end in a linear layer, and is unchanged.
    """
    graph = model.graph
    name = _features_of(graph)
    size = None if name is None else _width(model, name)
    if name is None or size is None:
        return None
    for node in graph.node:
        for names in (node.input, node.output):
            for place, each in enumerate(names):
                if each == name:
                    names[place] = FEATURES
    for value in [each for each in graph.value_info if each.name in (name, FEATURES)]:
        graph.value_info.remove(value)
    graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["batch", size]))
    return size


def _features_of(graph: onnx.GraphProto) -> str | None:
    """Return the name of the value that the last linear layer takes."""
    makers = {output: node for node in graph.node for output in node.output}
    constants = {each.name for each in graph.initializer}
    node = makers.get(LOGITS)
    while node is not None and node.op_type not in ("Gemm", "MatMul"):
        if node.op_type not in (*AROUND, *PASSED):
            return None
        inputs = [each for each in node.input if each in makers]
        node = makers[inputs[0]] if inputs else None
    if node is None:
        return None
    name = node.input[0]
    while name in makers and makers[name].op_type in PASSED:
        name = makers[name].input[0]
    return name if name in makers and name not in constants else None


def _width(model: onnx.ModelProto, name: str) -> int | None:
    """Return the length of a value of two axes, or None for one of another rank or of an unknown length."""
    shaped = onnx.shape_inference.infer_shapes(model).graph
    for value in shaped.value_info:
        if value.name == name:
            sides = value.type.tensor_type.shape.dim
            return int(sides[1].dim_value) or None if len(sides) == 2 else None
    return None


@contextmanager
def recorded_features(network: nn.Module) -> Iterator[list[Tensor]]:
    """Record what each linear layer takes in calls of the network; the last one of a call is the features."""
    found: list[Tensor] = []
    handles = [
        module.register_forward_pre_hook(lambda _, given: found.append(given[0]))
        for module in network.modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()

"""Name the first layer at which an exported graph and its network part."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.images import Pixels
from pennyweight.core.manifest import INPUT

__all__ = ["first_difference", "layers_of"]

SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata of a node as torch exports it: the modules around it, from the outermost, then its own name."""
ROUNDING = 1e-3
"""Difference relative to a layer's largest value that rounding can cause."""


def layers_of(model: onnx.ModelProto) -> dict[str, str]:
    """Return the name of the last value that each module computes, in the order of the graph."""
    layers: dict[str, str] = {}
    for node in model.graph.node:
        for entry in node.metadata_props:
            if entry.key == SCOPES:
                scopes: list[str] = literal_eval(entry.value)
                module = scopes[-2] if len(scopes) > 1 else ""
                layers.pop(module, None)
                layers[module] = node.output[0]
    return layers


def first_difference(graph: nn.Module, model: onnx.ModelProto, layers: Mapping[str, str], pixels: Pixels) -> str:
    """Compute both layer by layer, and describe the first layer whose values differ by more than rounding.

    Args:
        graph: Module in eval mode that was exported.
        model: The exported graph.
        layers: Value of each module, from `layers_of`.
        pixels: Pictures on which the two differ, (B, H, W, C) uint8.
    """
    expected = _values(graph, layers, pixels)
    found = dict(zip(expected, _values_of_graph(model, [layers[name] for name in expected], pixels), strict=True))
    for name, value in expected.items():
        largest = float(np.abs(value).max())
        difference = float(np.abs(value - found[name]).max()) if value.shape == found[name].shape else np.inf
        if not difference <= ROUNDING * largest:
            kind = type(graph.get_submodule(name)).__name__
            by = f"by up to {difference:.2g}, where its largest value is {largest:.2g}"
            return f"the first layer that differs is {name.removeprefix('network.')} ({kind}), {by}"
    return "each layer alone is computed alike, so the difference arises where the engine joins layers"


def _values(graph: nn.Module, layers: Mapping[str, str], pixels: Pixels) -> dict[str, NDArray[np.float32]]:
    """Return the output of each layer without inner layers, in the order of the graph."""
    found: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            found[name] = output

    inner = {name: module for name, module in graph.named_modules() if name in layers and not any(module.children())}
    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in inner.items()]
    device = next((parameter.device for parameter in graph.parameters()), torch.device("cpu"))
    try:
        with torch.inference_mode():
            graph(torch.from_numpy(pixels.copy()).to(device))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found[name].float().cpu().numpy() for name in layers if name in found}


def _values_of_graph(model: onnx.ModelProto, values: Sequence[str], pixels: Pixels) -> Sequence[NDArray[np.float32]]:
    """Return inner values of the exported graph."""
    import onnxruntime

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=value) for value in values if value not in known)
    session = onnxruntime.InferenceSession(opened.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Sequence[NDArray[np.float32]] = session.run(list(values), {INPUT: pixels})
    return found

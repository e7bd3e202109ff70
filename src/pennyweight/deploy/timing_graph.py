"""Graph of a network for timing alone: written in half a second, and neither proved nor kept.

The exporter of bundles takes several seconds. The engine executes both graphs within 5% of the same time.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy.export import OPSET, export_graph
from pennyweight.deploy.graph import BundleGraph
from pennyweight.deploy.qdq import Quantizer

__all__ = ["write_timing_graph"]

CALIBRATION = 2
"""Seeded pictures that give an int8 graph some ranges; its time does not depend on them."""


def write_timing_graph(
    network: nn.Module, preprocess: Preprocess, path: Path, *, batch: int = 1, int8: bool = False
) -> int:
    """Write an ONNX file that takes as long as the network's bundle, and return its size in bytes.

    Args:
        network: Network, with any weights.
        preprocess: Preprocessing, whose scaling is part of the graph.
        path: File to write.
        batch: Pictures in a call; a constant of the graph.
        int8: Write the int8 form.
    """
    graph = BundleGraph(network, preprocess).eval()
    example = torch.zeros(batch, *preprocess.shape, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.inference_mode():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph, (example,), path, input_names=[INPUT], output_names=[PROBABILITIES, LOGITS],
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        model = onnx.load(path)
    except Exception:  # the tracing exporter lacks some operators, and may leave torch
        model = export_graph(network, preprocess).model
    if int8:
        model = Quantizer(model, seeded_pixels(max(batch, CALIBRATION), preprocess.shape)[:batch]).quantize()
    onnx.save(model, path, format="protobuf")
    return path.stat().st_size

"""From a trained network to a bundle: exported, proved, and only then given its name."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import nn

from pennyweight.core.files import atomic, clear_left_overs
from pennyweight.core.images import Picture
from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Manifest
from pennyweight.core.seal import seal
from pennyweight.core.training_digests import TRAINING_DIGESTS_KEY, TrainingDigests
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.parity import make_pictures, prove
from pennyweight.runtime import Bundle, Classifier
from pennyweight.runtime.engine import OnnxEngine

__all__ = ["export_bundle", "to_onnx"]

OPSET = 20


def export_bundle(
    network: nn.Module,
    path: Path,
    manifest: Manifest,
    pictures: Sequence[Picture],
    *,
    of: str,
    training_digests: TrainingDigests | None = None,
) -> Bundle:
    """Write `network` to `path` as a bundle; the manifest's parity is filled in by the proof on `pictures`.

    `learnt` is what it was trained and selected on. Without pictures some are made. Raises ParityError, and writes
    nothing, when the graph answers otherwise than the network.
    """
    network = network.eval()
    preprocess = manifest.preprocess
    expected = Classifier(TorchEngine(network, preprocess), manifest.labels, preprocess)
    if not pictures:
        pictures, of = make_pictures(preprocess.channels), "pictures made for the proof"
    clear_left_overs(path.absolute().parent, of=path.name)
    with atomic(path) as temporary:
        model = _graph(network, manifest)
        onnx.save(model, temporary, format="protobuf")  # whatever the name ends in
        received = Classifier(OnnxEngine(temporary), manifest.labels, preprocess)
        proved = replace(manifest, parity=prove(expected, received, pictures, of=of).to_dict())
        said = {METADATA_KEY: proved.to_json()} | (
            {} if training_digests is None else {TRAINING_DIGESTS_KEY: training_digests.to_text()}
        )
        onnx.helper.set_model_props(model, said)
        onnx.save(model, temporary, format="protobuf")
        seal(temporary)
    return Bundle(path)


def _graph(network: nn.Module, manifest: Manifest) -> onnx.ModelProto:
    """The network as ONNX, for any batch size."""
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    graph = BundleGraph(network, manifest.preprocess).to(device).eval()
    # Two, because the exporter takes a batch of one for a constant.
    example = torch.zeros(2, *manifest.preprocess.shape, dtype=torch.uint8, device=device)
    return to_onnx(graph, example, {0: torch.export.Dim("batch", min=1)})


def to_onnx(graph: nn.Module, example: torch.Tensor, sizes: Mapping[int, torch.export.Dim]) -> onnx.ModelProto:
    """A graph of one input and two outputs (probabilities, logits) as ONNX; `sizes` are the axes that may vary."""
    with _quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[INPUT],
            output_names=[PROBABILITIES, LOGITS],
            dynamic_shapes=(dict(sizes),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        # The exporter notes the source line and stack of every operator: paths of this machine.
        del node.metadata_props[:]
        node.doc_string = ""
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints progress and warns of its own internals; none of it is for a user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

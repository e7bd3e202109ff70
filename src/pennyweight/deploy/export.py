"""Export a trained network to a bundle: the file appears only after the parity proof."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pennyweight.core.errors import InputError, ParityError
from pennyweight.core.figures import megabytes
from pennyweight.core.files import atomic, clear_left_overs
from pennyweight.core.images import Picture
from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reading import reason_of
from pennyweight.core.seal import seal
from pennyweight.core.training_digests import TRAINING_DIGESTS_KEY, TrainingDigests
from pennyweight.core.typicality import HeldOut, Training
from pennyweight.deploy.features import give_features
from pennyweight.deploy.first_difference import first_difference, layers_of
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.parity import DisagreementError, make_pictures, prove
from pennyweight.deploy.rounding import exact_classifier
from pennyweight.deploy.strangeness import typical_output
from pennyweight.runtime import Bundle, Classifier
from pennyweight.runtime.onnx_engine import OnnxEngine

__all__ = ["export_bundle", "export_graph", "to_onnx"]

OPSET = 20
MOST_BYTES = (1 << 31) - (1 << 24)
"""Most bytes of weights: protobuf holds 2 GiB, of which 16 MiB are left for the graph."""


class Graph(NamedTuple):
    """Exported graph, and the name of the last value that each module computes in it."""

    model: onnx.ModelProto
    layers: Mapping[str, str]


def export_bundle(
    network: nn.Module,
    path: Path,
    manifest: Manifest,
    pictures: Sequence[Picture],
    *,
    of: str,
    training_digests: TrainingDigests | None = None,
    typicality: tuple[Training, HeldOut] | None = None,
    quantize: Callable[[onnx.ModelProto], tuple[onnx.ModelProto, Mapping[str, Any]]] | None = None,
    measure: Callable[[onnx.ModelProto], Mapping[str, Any]] | None = None,
) -> Bundle:
    """Write a network as a bundle, with the result of the parity proof in its manifest.

    Args:
        network: The network.
        path: The bundle to write; an existing file is replaced.
        manifest: Labels, preprocessing, costs and evaluation; its `parity` is filled in.
        pictures: Pictures for the proof; if empty, 16 seeded ones are made.
        of: Description of the pictures for the manifest.
        training_digests: Digests of the pictures that the network was trained and selected on.
        typicality: Directions of the training features, which become an output of the graph, and their calibration.
        quantize: Function that makes an int8 graph of the proved one, and its record for the manifest.
        measure: Function that times the proved graph of a pruned network; the manifest's `pruning` keeps the result.

    Returns:
        The opened bundle.

    Raises:
        ParityError: The graph's outputs differ from the network's; nothing was written.
        InputError: torch cannot write the network as ONNX, or its weights exceed one ONNX file; nothing was written.
    """
    network = network.eval()
    preprocess = manifest.preprocess
    expected = Classifier(TorchEngine(network, preprocess), manifest.labels, preprocess)
    if not pictures:
        pictures, of = make_pictures(preprocess.channels), "pictures made for the proof"
    clear_left_overs(path.absolute().parent, of=path.name)
    with atomic(path) as temporary:
        model, layers = export_graph(network, preprocess)
        onnx.save(model, temporary, format="protobuf")  # the temporary name may have any ending
        received = Classifier(OnnxEngine(temporary), manifest.labels, preprocess)
        proved = replace(manifest, parity=_prove(network, (model, layers), (expected, received), pictures, of))
        if measure is not None:
            proved = replace(proved, pruning={**(proved.pruning or {}), "latency": measure(model)})
        if quantize is not None:
            model, record = quantize(model)
            proved = proved.in_int8(record)
        if (size := give_features(model)) is not None:
            proved = replace(proved, features=size)
        if size is not None and typicality is not None:
            engine = TorchEngine(network, preprocess, training=typicality[0])
            proved = replace(proved, typicality=typical_output(model, typicality[1], engine, preprocess, pictures))
        metadata = {METADATA_KEY: proved.to_json()} | (
            {} if training_digests is None else {TRAINING_DIGESTS_KEY: training_digests.to_text()}
        )
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, temporary, format="protobuf")
        seal(temporary)
    return Bundle(path)


def _prove(
    network: nn.Module,
    graph: tuple[onnx.ModelProto, Mapping[str, str]],
    two: tuple[Classifier, Classifier],
    pictures: Sequence[Picture],
    of: str,
) -> dict[str, Any]:
    """Return the proof that network and graph, each in its classifier, agree. Raises ParityError with the layer."""
    try:
        exact = partial(exact_classifier, network, two[0].labels, two[0].preprocess)
        return prove(*two, pictures, of=of, exact=exact).to_dict()
    except DisagreementError as error:
        where = first_difference(BundleGraph(network, two[0].preprocess), *graph, error.pixels)
        raise ParityError(f"{error}; {where}; nothing was written") from error


def export_graph(network: nn.Module, preprocess: Preprocess) -> Graph:
    """Export the network with its preprocessing to ONNX, for any batch size."""
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    if weights > MOST_BYTES:
        raise InputError(
            f"the network has {megabytes(weights)} of weights, and one ONNX file holds at most {megabytes(MOST_BYTES)}"
            "; export a smaller network"
        )
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    graph = BundleGraph(network, preprocess).to(device).eval()
    # Two pictures: the exporter takes a batch of one for a constant.
    example = torch.zeros(2, *preprocess.shape, dtype=torch.uint8, device=device)
    return to_onnx(graph, example, {0: torch.export.Dim("batch", min=1)})


def to_onnx(graph: nn.Module, example: torch.Tensor, sizes: Mapping[int, torch.export.Dim]) -> Graph:
    """Export a graph with one input and two outputs, probabilities and logits, to ONNX.

    Args:
        graph: Module in eval mode.
        example: Input whose shape is exported.
        sizes: Axes of the input that may vary.

    Returns:
        The ONNX model, without the source lines that the exporter adds to its nodes, and the value of each layer.
    """
    export = partial(
        torch.onnx.export,
        graph,
        (example,),
        input_names=[INPUT],
        output_names=[PROBABILITIES, LOGITS],
        dynamic_shapes=(dict(sizes),),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    with _quiet(), _out_of_place(graph):
        try:
            program = export()
        except torch.onnx.OnnxExporterError:
            # Values of fused attention with a mask have strides that the exporter's own steps cannot view.
            with _reasons(), sdpa_kernel(SDPBackend.MATH):
                program = export()
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    layers = layers_of(model)
    for node in model.graph.node:
        # The exporter adds the source line and stack of every operator: paths of this machine.
        del node.metadata_props[:]
        node.doc_string = ""
    return Graph(model, layers)


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Turn the exporter's pages of advice into one line with the reason below them."""
    try:
        yield
    except torch.onnx.OnnxExporterError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise InputError(f"torch cannot write this network as ONNX: {reason_of(cause)}; nothing was written") from error


@contextlib.contextmanager
def _out_of_place(network: nn.Module) -> Iterator[None]:
    """Let activations write to new tensors: the exporter needs twice as long to follow those that overwrite."""
    modules = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    for module in modules:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in modules:
            module.inplace = True  # type: ignore[assignment]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress and its warnings about its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

"""Deployment: the ONNX graph of a network, its export to a bundle, the parity proof of the two, int8 and pruning."""

from pennyweight.deploy.export import export_bundle, export_graph
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.int8 import MAX_DROP, Int8Error, Int8Pictures, LayerLoss, to_int8
from pennyweight.deploy.latency import compare_graphs, compare_latency
from pennyweight.deploy.ncnn_files import NcnnEngine, require_ncnn, write_ncnn
from pennyweight.deploy.parity import Parity, make_pictures, prove
from pennyweight.deploy.pruning import Pruned, prune, require_torch_pruning
from pennyweight.deploy.rounding import exact_classifier
from pennyweight.deploy.tune import to_tuned_int8

__all__ = [
    "MAX_DROP",
    "BundleGraph",
    "Int8Error",
    "Int8Pictures",
    "LayerLoss",
    "NcnnEngine",
    "Parity",
    "Pruned",
    "TorchEngine",
    "compare_graphs",
    "compare_latency",
    "exact_classifier",
    "export_bundle",
    "export_graph",
    "make_pictures",
    "prove",
    "prune",
    "require_ncnn",
    "require_torch_pruning",
    "to_int8",
    "to_tuned_int8",
    "write_ncnn",
]

"""Deployment: the ONNX graph of a network, its export to a bundle, the parity proof of the two, and int8."""

from pennyweight.deploy.export import export_bundle
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.int8 import MAX_DROP, Int8Error, Int8Pictures, LayerLoss, to_int8
from pennyweight.deploy.parity import Parity, prove
from pennyweight.deploy.tune import to_tuned_int8

__all__ = [
    "MAX_DROP",
    "BundleGraph",
    "Int8Error",
    "Int8Pictures",
    "LayerLoss",
    "Parity",
    "TorchEngine",
    "export_bundle",
    "prove",
    "to_int8",
    "to_tuned_int8",
]

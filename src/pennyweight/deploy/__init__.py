"""Deployment: the ONNX graph of a network, its export to a bundle, and the parity proof of the two."""

from pennyweight.deploy.export import export_bundle
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.parity import Parity, prove

__all__ = ["BundleGraph", "Parity", "TorchEngine", "export_bundle", "prove"]

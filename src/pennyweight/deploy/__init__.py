"""Making a network shippable: the graph, its export, and the proof that both answer the same."""

from pennyweight.deploy.export import export_bundle
from pennyweight.deploy.graph import BundleGraph, TorchEngine
from pennyweight.deploy.parity import Parity, prove

__all__ = ["BundleGraph", "Parity", "TorchEngine", "export_bundle", "prove"]

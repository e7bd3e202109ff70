"""Tell rounding from a wrong graph: compare a network and its bundle with the network in float64.

Float32 rounds after every layer. Network and bundle compute in another order, so that over 150 layers their answers
part. A bundle that is no farther from float64 than the network itself is as right as the network is.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy.graph import BundleGraph
from pennyweight.runtime import Classifier, Outputs

__all__ = ["FACTOR", "ROUNDING_TOLERANCE", "Rounding", "differences", "exact_classifier"]

FACTOR = 2.0
"""Distance of a bundle from float64 that rounding explains, as a multiple of the network's distance."""
ROUNDING_TOLERANCE = 1e-3
"""Largest difference of a probability that is called rounding."""


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """Largest distances from the network in float64, over the pictures of a proof."""

    network_probability: float
    network_logit: float
    bundle_probability: float
    bundle_logit: float
    factor: float = FACTOR

    @classmethod
    def of(cls, exact: Outputs, network: Outputs, bundle: Outputs) -> Self:
        """Measure the distances."""
        distances = {
            f"{name}_{kind}": float(differences(there, here).max())
            for name, outputs in (("network", network), ("bundle", bundle))
            for kind, there, here in zip(("probability", "logit"), exact, outputs, strict=True)
        }
        return cls(**distances)

    @property
    def explains(self) -> bool:
        """True if the bundle is about as close to float64 as the network is; False for values that are no numbers."""
        return (
            self.bundle_probability <= self.factor * self.network_probability
            and self.bundle_logit <= self.factor * self.network_logit
        )

    def __str__(self) -> str:
        return (
            f"probabilities in float64 stand {self.network_probability:.1e} from the network and "
            f"{self.bundle_probability:.1e} from the bundle"
        )

    def to_dict(self) -> dict[str, float]:
        """Return the fields as the manifest keeps them."""
        return asdict(self)


def differences(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the absolute differences; equal infinities, such as the logits of masked classes, do not differ."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, np.float32(0), np.abs(a - b))


def exact_classifier(network: nn.Module, labels: tuple[str, ...], preprocess: Preprocess) -> Classifier:
    """Return a classifier with a copy of a network that computes in float64, on the CPU.

    Its engine raises RuntimeError if the network mixes float64 with float32 of its own.
    """
    graph = BundleGraph(copy.deepcopy(network).cpu(), preprocess).double().eval()

    @torch.inference_mode()
    def engine(pixels: Pixels) -> Outputs:
        outputs = graph(torch.from_numpy(np.ascontiguousarray(pixels)))
        return Outputs(*(output.float().numpy() for output in outputs))

    return Classifier(engine, labels, preprocess)

"""ONNX graph of a bundle, and an adapter that runs a torch network as an inference engine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.travel import Origin
from pennyweight.core.typicality import Training
from pennyweight.deploy.features import recorded_features
from pennyweight.deploy.fork_guard import ForkGuard
from pennyweight.nn import FromPixels
from pennyweight.runtime import Outputs
from pennyweight.runtime.classifier import Strange

__all__ = ["BundleGraph", "TorchEngine"]


class BundleGraph(nn.Module):
    """Network with scaling and softmax inside: (B, H, W, C) uint8 -> probabilities, logits, both (B, classes)."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.from_pixels = FromPixels(preprocess.mean, preprocess.std)
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(self.from_pixels(images))
        return logits.softmax(dim=1), logits


class TorchEngine:
    """Engine that executes a torch network in eval mode, on the device of its parameters.

    With the `origin` of its file it is pickled as that; without one, with its network. With `compiled`, torch.compile
    makes a program for each batch size, at the first call with it. With `training`, it measures the strangeness too.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        origin: Origin | None = None,
        *,
        compiled: bool = False,
        training: Training | None = None,
    ) -> None:
        self._made_of = network, preprocess
        self._training = training
        self._compiled = compiled
        self.name = f"torch {torch.__version__.partition('+')[0]}, {'compiled' if compiled else 'eager'}"
        self._origin = origin
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        self._graph = BundleGraph(network, preprocess).to(device).eval()
        self._forward = torch.compile(self._graph, dynamic=False) if compiled else self._graph
        self._device = device
        self._guard = ForkGuard()

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits. (B, H, W, C) uint8 -> both (B, classes)."""
        self._guard.settle()
        self._graph.eval()
        outputs = self._forward(torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device))
        return Outputs(*(output.float().cpu().numpy() for output in outputs))

    @property
    def training(self) -> Training:
        """Picture of the training features. Raises InputError for an engine without."""
        if self._training is None:
            raise InputError("this network's training features were not kept; train it again to know strangers")
        return self._training

    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute what the last linear layer takes. (B, H, W, C) uint8 -> (B, F). Raises InputError without one."""
        return self.with_features(pixels)[1]

    def with_strangeness(self, pixels: Pixels) -> Strange:
        """Compute probabilities and strangeness. Raises InputError for an engine without `training`."""
        training = self.training
        outputs, features = self.with_features(pixels)
        return Strange(outputs.probabilities, training.strangeness(features, outputs.logits))

    @torch.inference_mode()
    def with_features(self, pixels: Pixels) -> tuple[Outputs, NDArray[np.float32]]:
        """Compute all outputs, and what the last linear layer takes, in one pass. Raises InputError without one."""
        self._guard.settle()
        with self._guard.lock, recorded_features(self._graph.network) as found:  # hooks of one call at a time
            outputs = self._graph.eval()(torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device))
        if not found or found[-1].ndim != 2:
            raise InputError(
                f"{type(self._graph.network).__name__} does not end in a linear layer, whose input is the features"
            )
        rows: NDArray[np.float32] = found[-1].float().cpu().numpy()
        return Outputs(*(output.float().cpu().numpy() for output in outputs)), rows

    def __reduce__(self) -> tuple[Any, ...]:
        if self._origin is not None:
            return self._origin.travel(self)
        return _remake, (*self._made_of, self._compiled, self._training)

    def __copy__(self) -> Self:
        return self  # a classifier changes no network

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _remake(network: nn.Module, preprocess: Preprocess, compiled: bool, training: Training | None) -> TorchEngine:
    return TorchEngine(network, preprocess, compiled=compiled, training=training)

"""ONNX graph of a bundle, and an adapter that runs a torch network as an inference engine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn import FromPixels
from pennyweight.runtime import Outputs

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
    """Engine that executes a torch network in eval mode, on the device of its parameters."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        self._graph = BundleGraph(network, preprocess).to(device).eval()
        self._device = device

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits. (B, H, W, C) uint8 -> both (B, classes)."""
        self._graph.eval()
        outputs = self._graph(torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device))
        return Outputs(*(output.float().cpu().numpy() for output in outputs))

"""Graph of a scene's bundle, and a torch network as an engine for scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.spectral import Projection
from pennyweight.deploy.fork_guard import ForkGuard
from pennyweight.nn import WindowNetwork
from pennyweight.runtime import Outputs
from pennyweight.runtime.scene_mapper import SceneEngine, TileEngine, WindowsEngine

__all__ = ["SceneGraph", "torch_scene_engine"]


class SceneGraph(nn.Module):
    """Network with spectral projection and softmax inside; its outputs are probabilities and logits, classes last.

    A WindowNetwork takes a tile, (H, W, bands) -> (H - window + 1, W - window + 1, classes). Any other network takes
    windows, (B, window, window, bands) -> (B, classes). Pixels with a NaN become zeros after the projection.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, network: nn.Module, projection: Projection) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.from_numpy(projection.mean))
        self.register_buffer("matrix", torch.from_numpy(projection.matrix))

    def forward(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        known = torch.isfinite(spectra).all(dim=-1, keepdim=True)
        x = torch.where(known, spectra - self.mean, 0.0) @ self.matrix
        if isinstance(self.network, WindowNetwork):
            logits = self.network.dense(x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        else:
            logits = self.network(x.permute(0, 3, 1, 2))
        return logits.float().softmax(dim=-1), logits.float()


def torch_scene_engine(
    network: nn.Module, projection: Projection, *, window: int, bfloat16: bool = False
) -> SceneEngine:
    """Make an engine that executes a torch network in eval mode, on the device of its parameters.

    Args:
        network: The network.
        projection: Spectral projection that makes its input.
        window: Side of its window in pixels.
        bfloat16: True computes under autocast to bfloat16.

    Returns:
        A TileEngine for a WindowNetwork, else a WindowsEngine.
    """
    device = next(network.parameters()).device
    graph = SceneGraph(network, projection).to(device).eval()
    guard = ForkGuard()

    @torch.inference_mode()
    def compute(values: NDArray[Any]) -> Outputs:
        guard.settle()
        spectra = torch.from_numpy(np.ascontiguousarray(values)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            outputs = graph(spectra)
        return Outputs(*(output.cpu().numpy() for output in outputs))

    kind = TileEngine if isinstance(network, WindowNetwork) else WindowsEngine
    return kind(compute, window=window, bands=projection.bands)

"""Training on tiles: the trunk runs once over a tile, and the loss is taken at its labelled pixels."""

from __future__ import annotations

from torch import Tensor, nn

from pennyweight.nn import WindowNetwork

__all__ = ["TileTraining"]


class TileTraining(nn.Module):
    """(B, channels + 1, H, W), the last channel 1 at N pixels -> (N, classes): what `network` answers for each of them.

    Without batch norm the same logits, and the same gradients but for rounding, as the N windows give one by one (its
    statistics are the tiles' while it trains); neighbours share the trunk. The pixels come tile by tile, row by row.
    """

    def __init__(self, network: WindowNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        half = self.network.window // 2
        tiles, rows, cols = x[:, -1].nonzero(as_tuple=True)
        return self.network.at(x[:, :-1], tiles, rows - half, cols - half)

"""Training on tiles of a scene: the trunk runs once over a tile, and the loss is computed at its labeled pixels."""

from __future__ import annotations

from torch import Tensor, nn

from pennyweight.nn import WindowNetwork

__all__ = ["TileTraining"]


class TileTraining(nn.Module):
    """Network on tiles. (B, channels + 1, H, W), the last channel 1 at N labeled pixels -> (N, classes).

    Neighboring pixels share the trunk's work. Without batch norm, the logits equal those of the N windows computed one
    by one, and so do the gradients up to rounding. Batch norm in train mode uses the statistics of the tiles.
    The pixels are ordered by tile, then row, then column.
    """

    def __init__(self, network: WindowNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        half = self.network.window // 2
        tiles, rows, cols = x[:, -1].nonzero(as_tuple=True)
        return self.network.at(x[:, :-1], tiles, rows - half, cols - half)

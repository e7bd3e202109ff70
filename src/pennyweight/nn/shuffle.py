"""Channel shuffle of both ShuffleNets."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ChannelShuffle"]


class ChannelShuffle(nn.Module):
    """Channel shuffle: interleave the groups so that the next grouped 1×1 sees all of them. (B, C, H, W) -> same.

    C must be divisible by `groups`. ShuffleNet, arXiv:1707.01083, Fig. 1c.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        grouped = x.view(batch, self.groups, channels // self.groups, height, width)
        return grouped.transpose(1, 2).reshape(batch, channels, height, width)

"""The channel shuffle of both ShuffleNets."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ChannelShuffle"]


class ChannelShuffle(nn.Module):
    """Move each group's channels apart so that the next grouped 1×1 sees all groups. (B, C, H, W) -> same.

    C must be divisible by `groups`. ShuffleNet, arXiv:1707.01083, Fig. 1c.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        grouped = x.view(batch, self.groups, channels // self.groups, height, width)
        return grouped.transpose(1, 2).reshape(batch, channels, height, width)

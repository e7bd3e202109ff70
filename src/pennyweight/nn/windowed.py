"""Networks that classify the center pixel of a window, and every pixel of a tile at once.

They use no padding, so neighboring windows share their work. Over a tile the first linear layer becomes a convolution
as large as the trunk's output for a window, and the others are 1×1 (Sermanet et al. 2013, arXiv:1312.6229, section
3.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn.blocks import last_layer
from pennyweight.nn.fourier import fourier_conv2d, prefer_fourier
from pennyweight.nn.network import Network

__all__ = ["WindowHead", "WindowNetwork"]


class WindowHead(nn.Module):
    """Flatten, then linear layers of the `hidden` sizes and the classes. (B, c_in, side, side) -> (B, num_classes)."""

    def __init__(
        self, c_in: int, side: int, hidden: Sequence[int], num_classes: int, *, act: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.side = side
        layers: list[nn.Module] = []
        features = c_in * side**2
        for size in hidden:
            layers += [nn.Linear(features, size), act, nn.Dropout(dropout)]
            features = size
        self.layers = nn.Sequential(*layers)
        self.num_features = features
        self.linear = last_layer(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.layers(x.flatten(1)))
        return logits

    def dense(self, x: Tensor) -> Tensor:
        """Classify every window of a tile. (B, c_in, H, W) -> (B, num_classes, H - side + 1, W - side + 1)."""
        side = self.side
        for layer in (*self.layers, self.linear):
            if isinstance(layer, nn.Linear):
                kernels = layer.weight.view(layer.out_features, -1, side, side)
                # The direct convolution is a fifth faster if weights and input are channels-last.
                if prefer_fourier(x, side):
                    x = fourier_conv2d(x, kernels, layer.bias)
                else:
                    x = F.conv2d(_last(x), _last(kernels), layer.bias)
                side = 1
            else:
                x = layer(x)
        return x

    def at(self, x: Tensor, tiles: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Classify N windows, given by tile, first row and first column. (B, c_in, H, W) -> (N, num_classes).

        An embedding lookup gathers the windows, because its gradient is fast and adds in a fixed order.
        """
        batch, c_in, height, width = x.shape
        side = torch.arange(self.side, device=x.device)
        first = (tiles * height + rows) * width + cols
        index = first[:, None, None] + side[:, None] * width + side
        table = x.permute(0, 2, 3, 1).reshape(batch * height * width, c_in)
        logits: Tensor = self(F.embedding(index, table).permute(0, 3, 1, 2))
        return logits


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class WindowNetwork(Network):
    """Network without padding: (B, in_channels, window, window) -> (B, num_classes); `head` is a WindowHead."""

    if TYPE_CHECKING:  # torch.jit.script would have to compile these annotations
        window: int
        """Pixels a side of the neighborhood."""
        head: WindowHead

    def dense(self, x: Tensor) -> Tensor:
        """Classify every window of a tile.

        (B, in_channels, H, W) -> (B, num_classes, H - window + 1, W - window + 1).
        """
        Network.check(self, x)
        if min(x.shape[2:]) < self.window:
            raise InputError(
                f"a tile of {x.shape[2]}×{x.shape[3]} is smaller than the window of {self.window}×{self.window}"
            )
        return self.head.dense(self.trunk(self.stem(x)))

    def at(self, x: Tensor, tiles: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Classify N windows, given by tile, first row and first column. (B, in_channels, H, W) -> (N, num_classes)."""
        Network.check(self, x)
        return self.head.at(self.trunk(self.stem(x)), tiles, rows, cols)

    def check(self, x: Tensor) -> None:
        super().check(x)
        if tuple(x.shape[2:]) != (self.window, self.window):
            raise InputError(
                f"this {type(self).__name__} takes windows of {self.window}×{self.window}, received "
                f"{x.shape[2]}×{x.shape[3]}; create it with window={x.shape[2]} or cut other windows"
            )

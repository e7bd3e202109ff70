"""Convert stored pixels to the network's input, inside the training step or the exported graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["FromPixels"]


class FromPixels(nn.Module):
    """Scaling to 0..1, normalization, channels first. (B, H, W, C) uint8 -> (B, C, H, W) float32.

    `mean` and `std` are per channel, for pixels in 0..1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        mean_, std_ = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (mean, std))
        # (pixel/255 - mean)/std as one multiplication and one addition.
        self.register_buffer("scale", (1 / (255 * std_)).float(), persistent=False)
        self.register_buffer("shift", (-mean_ / std_).float(), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # a compiled graph is faster without the rows below
            return pixels.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift
        count, height, width, channels = pixels.shape
        scale, shift = (values.reshape(1, channels).repeat(1, width) for values in (self.scale, self.shift))
        # Whole rows, in place: four times as fast as channel by channel into new memory, with the same bits.
        rows = pixels.reshape(count * height, width * channels).to(scale.dtype, copy=True).mul_(scale).add_(shift)
        return rows.view(count, height, width, channels).permute(0, 3, 1, 2)

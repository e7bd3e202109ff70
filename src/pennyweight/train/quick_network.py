"""Quick network: a few convolutions that learn to tell small pictures apart within seconds."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.images import Pixels
from pennyweight.nn import FromPixels

__all__ = ["BATCH", "QuickNetwork", "shrink"]

BATCH = 32
WIDTHS = (16, 32, 64, 64)
POOLS = 3
LEAST_SIDE = 1 << POOLS
RATE, WARM_UP = 3e-3, 20
SMOOTHING = 0.05
LEAST_DEVIATION = 1 / 255
"""Added to the deviation of the pixels, which may all be equal."""
SCORED_AT_ONCE = 256


class QuickNetwork(nn.Module):
    """Four convolutions, three max pools and the peak of each channel, with its optimizer.

    (N, H, W, C) uint8 -> (N, classes). Peaks find a mark anywhere after few steps. `pixels` give mean and deviation.
    """

    def __init__(self, pixels: Pixels, classes: int, device: torch.device) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = pixels.shape[-1]
        for number, c_out in enumerate(WIDTHS):
            pool = [nn.MaxPool2d(2)] if number < POOLS else []
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), *pool, nn.BatchNorm2d(c_out), nn.ReLU()]
            c_in = c_out
        self.trunk, self.head = nn.Sequential(*layers), nn.Linear(c_in, classes)
        mean, std = pixels.mean((0, 1, 2)) / 255, pixels.std((0, 1, 2)) / 255 + LEAST_DEVIATION
        self.from_pixels = FromPixels(tuple(mean.tolist()), tuple(std.tolist()))
        self.to(device=device).to(memory_format=torch.channels_last)
        self.device = device
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=RATE, weight_decay=0.05)
        self.steps = 0

    def forward(self, pixels: Pixels) -> Tensor:
        """Return the logits. (N, H, W, C) uint8 -> (N, classes)"""
        x = self.from_pixels(torch.from_numpy(pixels).to(self.device))
        logits: Tensor = self.head(self.trunk(x).amax((2, 3)) / 4)
        return logits

    def learn(self, pixels: Pixels, targets: NDArray[np.int64]) -> None:
        """Take a step on a batch."""
        self.train()
        self.steps += 1
        self.optimizer.param_groups[0]["lr"] = RATE * min(1.0, self.steps / WARM_UP)
        self.optimizer.zero_grad()
        classes = torch.from_numpy(targets).to(self.device)
        loss = F.cross_entropy(self(pixels), classes, label_smoothing=SMOOTHING)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    @torch.inference_mode()
    def answer(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the logits of all pictures. (N, H, W, C) uint8 -> (N, classes)"""
        self.eval()
        parts = [self(pixels[at : at + SCORED_AT_ONCE]).cpu() for at in range(0, len(pixels), SCORED_AT_ONCE)]
        answers: NDArray[np.float32] = torch.cat(parts).numpy()
        return answers


def shrink(pixels: Pixels, side: int) -> Pixels:
    """Return smaller pictures of the same shape, with about side² pixels; small pictures stay. (N, H, W, C) uint8."""
    height, width = pixels.shape[1:3]
    by = min(1.0, side / (height * width) ** 0.5)
    size = tuple(max(LEAST_SIDE, round(each * by)) for each in (height, width))
    if size == (height, width):
        return pixels
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    small = F.interpolate(x, size=size, mode="area").round().to(torch.uint8)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())

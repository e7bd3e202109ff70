"""What oneDNN takes for itself while it convolves: copies in its own order, as torch's profiler shows them."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

__all__ = ["BLOCK", "backward_bytes", "forward_bytes"]

BLOCK = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Channels that oneDNN keeps and convolves side by side: as many as a register of 512 bits holds, or of 256."""
PLANES = 9  # places of the largest window for which depthwise gradients have a kernel of their own


def forward_bytes(x: Tensor, weight: Tensor, out: Tensor) -> int:
    """What it takes to convolve an image whose channels are not last, beside `out`.

    First input, weights and result lie in its order, then the result alone while it is copied back.
    """
    if x.dim() != 4 or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    before, kernel, after = _blocked_bytes(x), weight.numel() * weight.element_size(), _blocked_bytes(out)
    return after + max(0, before + kernel - after)


def backward_bytes(weight: Tensor, groups: int) -> int:
    """What the gradients of a convolution take beside themselves where channels are last.

    The weights and their gradient lie in its order; of groups, each is filled up to a block of 16×16 or 8×8 channels.
    """
    size = weight.numel() * weight.element_size()
    c_out, c_in, *window = weight.shape
    if groups == 1 or (c_in == 1 and c_out == groups and prod(window) <= PLANES):
        return 2 * size
    return size + groups * _whole(c_out // groups) * _whole(c_in) * prod(window) * weight.element_size()


def _blocked_bytes(image: Tensor) -> int:
    """With its channels in blocks, the last one filled up; colours are left as they are."""
    channels = image.shape[1]
    return image.numel() // channels * (channels if channels < BLOCK else _whole(channels)) * image.element_size()


def _whole(channels: int) -> int:
    """Whole blocks of them."""
    return -(-channels // BLOCK) * BLOCK

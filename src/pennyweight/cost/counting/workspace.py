"""Workspace of oneDNN convolutions: copies in its blocked memory format, as torch's profiler shows them."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

__all__ = ["BLOCK", "backward_bytes", "forward_bytes"]

BLOCK = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Channels in one block of oneDNN's memory format: one 512-bit register of float32, or one 256-bit register."""
PLANES = 9  # largest window, in positions, for which depthwise gradients have their own kernel


def forward_bytes(x: Tensor, weight: Tensor, out: Tensor) -> int:
    """Return the workspace of a convolution whose image is not channels-last, in bytes, without `out`.

    oneDNN first holds input, weights and result in its own format, then the result alone while it is copied back.
    """
    if x.dim() != 4 or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    before, kernel, after = _blocked_bytes(x), weight.numel() * weight.element_size(), _blocked_bytes(out)
    return after + max(0, before + kernel - after)


def backward_bytes(weight: Tensor, groups: int) -> int:
    """Return the workspace of a convolution's gradients for channels-last tensors, in bytes.

    oneDNN holds the weights and their gradient in its own format. With groups, each group is padded to blocks of 16×16
    or 8×8 channels.
    """
    size = weight.numel() * weight.element_size()
    c_out, c_in, *window = weight.shape
    if groups == 1 or (c_in == 1 and c_out == groups and prod(window) <= PLANES):
        return 2 * size
    return size + groups * _whole(c_out // groups) * _whole(c_in) * prod(window) * weight.element_size()


def _blocked_bytes(image: Tensor) -> int:
    """Return the bytes of an image in blocked format: the last block is padded; images of few channels are not."""
    channels = image.shape[1]
    return image.numel() // channels * (channels if channels < BLOCK else _whole(channels)) * image.element_size()


def _whole(channels: int) -> int:
    """Round up to a multiple of `BLOCK`."""
    return -(-channels // BLOCK) * BLOCK

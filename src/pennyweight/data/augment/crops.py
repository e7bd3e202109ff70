"""Windows cut out of a whole batch, mirrored where its draw says so: each sample by its own offsets.

The same bytes on the processor, by copies of rows, and on an accelerator, by one gather.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pennyweight.core.images import Pixels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["crop", "crop_on", "padded"]

SMALL = 96
"""Sides up to this many pixels are cut all at once; of larger ones each is a copy worth its own call."""

SMALL_AT_ONCE = 64
"""How many small pictures are mirrored at once: what a processor's cache holds."""


def crop(
    pixels: Pixels, size: tuple[int, int], down: NDArray[np.int64], across: NDArray[np.int64], flip: NDArray[np.bool_]
) -> Pixels:
    """(B, H, W, C) -> (B, *size, C): the window at (down, across), mirrored where `flip`. Windows lie inside."""
    height, width = size
    count, _, _, channels = pixels.shape
    if max(size) <= SMALL:
        windows = sliding_window_view(pixels, size, axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
        out = np.ascontiguousarray(windows[np.arange(count), down, across])
    else:
        out = np.empty((count, height, width, channels), np.uint8)
        for number, (top, left) in enumerate(zip(down.tolist(), across.tolist(), strict=True)):
            out[number] = pixels[number, top : top + height, left : left + width]
    _mirror(out, np.flatnonzero(flip))
    return out


def crop_on(
    pixels: Tensor, size: tuple[int, int], down: NDArray[np.int64], across: NDArray[np.int64], flip: NDArray[np.bool_]
) -> Tensor:
    """`crop` for a tensor, on its device."""
    import torch

    height, width = size
    rows = down[:, None] + np.arange(height)
    columns = across[:, None] + np.arange(width)
    columns = np.where(flip[:, None], columns[:, ::-1], columns)
    batch, rows_, columns_ = (
        torch.from_numpy(np.ascontiguousarray(index)).to(pixels.device)
        for index in (np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :])
    )
    return pixels[batch, rows_, columns_]


def padded(pixels: Pixels, edge: int) -> Pixels:
    """(B, H, W, C) with its edges repeated `edge` times on every side."""
    if not edge:
        return pixels
    count, height, width, channels = pixels.shape
    out = np.empty((count, height + 2 * edge, width + 2 * edge, channels), np.uint8)
    out[:, edge:-edge, edge:-edge] = pixels
    out[:, :edge, edge:-edge] = pixels[:, :1]
    out[:, -edge:, edge:-edge] = pixels[:, -1:]
    out[:, :, :edge] = out[:, :, edge : edge + 1]
    out[:, :, -edge:] = out[:, :, -edge - 1 : -edge]
    return out


def _mirror(pixels: Pixels, numbers: NDArray[np.int64]) -> None:
    """Mirror these pictures of the batch in place.

    Not by torch, as quick as it is: in a thread beside a network's it starts threads of its own, which wait for work
    on the same processors, and a training step takes half as long again.
    """
    at_once = SMALL_AT_ONCE if max(pixels.shape[1:3]) <= SMALL else 1
    for start in range(0, len(numbers), at_once):
        some = numbers[start : start + at_once]
        there = pixels[some]
        mirrored = np.empty_like(there)
        for channel in range(there.shape[-1]):  # several times as quick as all at once
            mirrored[..., channel] = there[:, :, ::-1, channel]
        pixels[some] = mirrored

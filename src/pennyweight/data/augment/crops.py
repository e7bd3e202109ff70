"""Crop and mirror a whole batch, each sample at its own offsets.

The CPU copies rows, an accelerator gathers once; both give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pennyweight.core.frame import Sides
from pennyweight.core.images import Pixels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SMALL", "crop", "crop_on", "crop_with_repeated_edges", "padded"]

SMALL = 96
"""Largest side in pixels of pictures that are cropped in one call; larger pictures are copied one by one."""

SMALL_AT_ONCE = 64
"""Number of small pictures to mirror in one call, which fit into the CPU's cache."""


def crop(
    pixels: Pixels, size: tuple[int, int], down: NDArray[np.int64], across: NDArray[np.int64], flip: NDArray[np.bool_]
) -> Pixels:
    """Crop the window at (down, across), mirrored where `flip`; windows lie inside. (B, H, W, C) -> (B, *size, C)."""
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


def crop_with_repeated_edges(
    pixels: Pixels, edge: Sides, down: NDArray[np.int64], across: NDArray[np.int64], flip: NDArray[np.bool_]
) -> Pixels:
    """Crop windows of the pictures' own size from `padded(pixels, edge)`, mirrored where `flip`. Keeps (B, H, W, C).

    Large pictures are copied without the extended ones in between.
    """
    height, width = pixels.shape[1:3]
    if max(height, width) <= SMALL or not any(edge):
        return crop(padded(pixels, edge), (height, width), down, across, flip)
    out = np.empty_like(pixels)
    for number, (top, left) in enumerate(zip((down - edge[0]).tolist(), (across - edge[1]).tolist(), strict=True)):
        rows = slice(max(0, -top), height - max(0, top))
        first, last = max(0, -left), width - max(0, left)
        own = out[number]
        own[rows, first:last] = pixels[number, rows.start + top : rows.stop + top, first + left : last + left]
        own[rows, :first] = own[rows, first : first + 1]
        own[rows, last:] = own[rows, last - 1 : last]
        own[: rows.start] = own[rows.start]
        own[rows.stop :] = own[rows.stop - 1]
    _mirror(out, np.flatnonzero(flip))
    return out


def crop_on(
    pixels: Tensor, size: tuple[int, int], down: NDArray[np.int64], across: NDArray[np.int64], flip: NDArray[np.bool_]
) -> Tensor:
    """Crop a tensor as `crop` does, on its device. (B, H, W, C) -> (B, *size, C)."""
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


def padded(pixels: Pixels, edge: Sides) -> Pixels:
    """Repeat the edge rows and columns on every side. (B, H, W, C) -> (B, H + 2·edge[0], W + 2·edge[1], C)."""
    if not any(edge):
        return pixels
    count, height, width, channels = pixels.shape
    down, across = edge
    out = np.empty((count, height + 2 * down, width + 2 * across, channels), np.uint8)
    rows = out[:, down : down + height]
    rows[:, :, across : across + width] = pixels
    for channel in range(channels):  # twice as fast as all channels in one call
        rows[:, :, :across, channel] = pixels[:, :, :1, channel]
        rows[:, :, across + width :, channel] = pixels[:, :, -1:, channel]
    out[:, :down] = rows[:, :1]
    out[:, down + height :] = rows[:, -1:]
    return out


def _mirror(pixels: Pixels, numbers: NDArray[np.int64]) -> None:
    """Mirror these pictures of the batch in place.

    torch would be as fast, but in a loader's thread it starts OpenMP threads that spin on the same cores and make a
    training step 1.5 times as long.
    """
    at_once = SMALL_AT_ONCE if max(pixels.shape[1:3]) <= SMALL else 1
    for start in range(0, len(numbers), at_once):
        some = numbers[start : start + at_once]
        there = pixels[some]
        mirrored = np.empty_like(there)
        for channel in range(there.shape[-1]):  # several times as fast as all channels in one call
            mirrored[..., channel] = there[:, :, ::-1, channel]
        pixels[some] = mirrored

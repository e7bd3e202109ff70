"""Resize learned position embeddings to another number of patches, for a ViT at another input size."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["fit_positions", "resample"]

KEYS = ("stem.positions", "encoder.pos_embedding", "pos_embed")
"""Keys of the position embeddings: ours, torchvision's, timm's."""
MOST_EXTRA = 8
"""Most tokens before the patches (class, distillation, registers)."""


def fit_positions(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Resize the positions in `state` to those in `own`, in place, if both are square grids; return a note."""
    for key in KEYS:
        if key not in own or state[key].ndim != 3 or own[key].ndim != 3 or state[key].shape[2] != own[key].shape[2]:
            continue
        was, now = state[key].shape[1], own[key].shape[1]
        squares = (extra for extra in range(MOST_EXTRA) if is_square(was - extra) and is_square(now - extra))
        extra = next(squares, None)
        if was != now and extra is not None:
            side = isqrt(now - extra)
            state[key] = resample(state[key], side, extra=extra)
            before = isqrt(was - extra)
            return (f"the positions were interpolated, because {before}×{before} patches became {side}×{side}",)
    return ()


def is_square(number: int) -> bool:
    """Return whether a number is a positive square."""
    return number > 0 and isqrt(number) ** 2 == number


def resample(positions: Tensor, side: int, *, extra: int = 1) -> Tensor:
    """Resize (1, extra + N, d), N a square, to (1, extra + side², d), bicubic and antialiased.

    The `extra` first tokens stay. The method is timm's `resample_abs_pos_embed`; the idea is from Dosovitskiy et al.
    2020, arXiv:2010.11929, section 3.2.
    """
    kept, patches = positions[:, :extra], positions[:, extra:]
    before = isqrt(patches.shape[1])
    grid = patches.float().reshape(1, before, before, -1).permute(0, 3, 1, 2)
    grid = interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
    return torch.cat([kept, grid.permute(0, 2, 3, 1).flatten(1, 2).to(positions.dtype)], dim=1)

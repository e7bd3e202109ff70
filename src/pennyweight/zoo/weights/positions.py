"""Resize learned position embeddings to another grid of patches, for a ViT at another input size or shape."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pennyweight.core.frame import Sides

__all__ = ["Patches", "fit_positions", "patches_of", "resample"]

KEYS = ("stem.positions", "encoder.pos_embedding", "pos_embed")
"""Keys of the position embeddings: ours, torchvision's, timm's."""
MOST_EXTRA = 8
"""Most tokens before the patches (class, distillation, registers)."""


class Patches(NamedTuple):
    """Patches of a network's input: their (rows, columns), and the (height, width) of each."""

    grid: Sides
    sides: Sides


def patches_of(model: nn.Module) -> Patches | None:
    """Return the patches of our ViT or one of timm; None for any other network."""
    for part in ("stem", "patch_embed"):  # timm's names of the attributes are ours
        embedding = getattr(model, part, None)
        grid, sides = getattr(embedding, "grid_size", None), getattr(embedding, "patch_size", None)
        if isinstance(grid, tuple) and isinstance(sides, tuple):
            return Patches(grid, sides)
    return None


def fit_positions(
    state: dict[str, Tensor], own: Mapping[str, Tensor], *, patches: Patches | None = None, trained: Sides | None = None
) -> tuple[str, ...]:
    """Resize the positions in `state` to those in `own`, in place, and return a note.

    Args:
        state: Weights, by the network's keys.
        own: Weights of the network.
        patches: Patches of the network; None for a square grid.
        trained: Height and width of the input of `state`; None if it is not known, then its grid is taken for square.
    """
    for key in KEYS:
        if key not in own or state[key].ndim != 3 or own[key].ndim != 3 or state[key].shape[2] != own[key].shape[2]:
            continue
        was, now = state[key].shape[1], own[key].shape[1]
        extra = _extra(was, now, patches)
        if extra is None:
            return ()
        after = patches.grid if patches else (isqrt(now - extra),) * 2
        before = _grid(was - extra, after, patches, trained)
        shown, wanted = (f"{rows}×{columns}" for rows, columns in (before or after, after))
        if before is None and is_square(was - extra) and after[0] != after[1]:
            return (f"the positions are taken for those of {wanted} patches: the weights do not say their shape",)
        if before is None or before == after:
            return ()
        state[key] = resample(state[key], after, extra=extra, before=before)
        return (f"the positions were interpolated, because {shown} patches became {wanted}",)
    return ()


def _extra(was: int, now: int, patches: Patches | None) -> int | None:
    """Return the number of tokens before the patches; None if two square grids cannot be told."""
    if patches is not None:
        return now - patches.grid[0] * patches.grid[1]
    squares = (extra for extra in range(MOST_EXTRA) if is_square(was - extra) and is_square(now - extra))
    return next(squares, None)


def _grid(count: int, after: Sides, patches: Patches | None, trained: Sides | None) -> Sides | None:
    """Return the grid of `count` patches: that of the trained input, else a square; None where nothing says it."""
    if patches is not None and trained is not None:
        rows, columns = (side // patch for side, patch in zip(trained, patches.sides, strict=True))
        if rows * columns == count:
            return rows, columns
    if count == after[0] * after[1] or not is_square(count):
        return None
    return isqrt(count), isqrt(count)


def is_square(number: int) -> bool:
    """Return whether a number is a positive square."""
    return number > 0 and isqrt(number) ** 2 == number


def resample(positions: Tensor, grid: Sides, *, extra: int = 1, before: Sides | None = None) -> Tensor:
    """Resize (1, extra + N, d) to (1, extra + rows·columns, d), bicubic and antialiased.

    The `extra` first tokens stay; the others have the grid `before`, by default a square one. The method is timm's
    `resample_abs_pos_embed`; the idea is from Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.2.
    """
    kept, patches = positions[:, :extra], positions[:, extra:]
    rows, columns = before or (isqrt(patches.shape[1]),) * 2
    found = patches.float().reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
    found = interpolate(found, size=grid, mode="bicubic", antialias=True)
    return torch.cat([kept, found.permute(0, 2, 3, 1).flatten(1, 2).to(positions.dtype)], dim=1)

"""Distillation: a trained network (the teacher) that a smaller one (the student) learns from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.sixteen_bit import WHITE, Levels
from pennyweight.train.batches import Teacher

__all__ = ["make_teacher"]


def _level_change(ours: Levels, theirs: Levels) -> tuple[list[float], list[float]]:
    """Return the gain and offset per channel between two ranges of 16-bit values, for pixels in 0..1 of each."""
    if not ours or ours == theirs:
        return [1.0], [0.0]
    bands = max(len(ours), len(theirs))
    mine, other = (pairs * bands if len(pairs) < 2 else pairs for pairs in (ours, theirs or ((0, WHITE),)))
    rows = [
        ((white - black) / (top - bottom), (black - bottom) / (top - bottom))
        for (black, white), (bottom, top) in zip(mine, other, strict=True)
    ]
    return [gain for gain, _ in rows], [offset for _, offset in rows]


def make_teacher(
    network: nn.Module, *, theirs: Preprocess, ours: Preprocess, order: Sequence[int], device: torch.device
) -> Teacher:
    """Make the function from the student's input to the teacher's logits for the student's classes.

    The function undoes the student's normalization and range of 16-bit values, applies the teacher's, and interpolates
    to the teacher's input size.

    Args:
        network: The teacher. It is moved to `device` and frozen.
        theirs: Preprocessing of the teacher.
        ours: Preprocessing of the student.
        order: Index of each of the student's classes among the teacher's outputs.
        device: Device of the student.

    Returns:
        Function from (B, C, H, W) to (B, len(order)).

    Raises:
        InputError: Teacher and student take different numbers of channels.
    """
    if theirs.channels != ours.channels:
        raise InputError(f"the teacher takes {theirs.channels} channels, these pictures have {ours.channels}")
    network = network.to(device).eval().requires_grad_(False)
    columns = torch.tensor(list(order), device=device)

    def values(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float32, device=device).view(1, -1, 1, 1)

    gain, offset = (values(numbers) for numbers in _level_change(ours.levels, theirs.levels))
    scale = values(ours.std) * gain / values(theirs.std)
    shift = (values(ours.mean) * gain + offset - values(theirs.mean)) / values(theirs.std)

    @torch.no_grad()
    def teacher(x: Tensor) -> Tensor:
        seen = x.float() * scale + shift
        if theirs.sides != ours.sides:
            seen = F.interpolate(seen, size=theirs.sides, mode="bilinear", antialias=True)
        logits: Tensor = network(seen)[:, columns]
        return logits.to(x.dtype)

    return teacher

"""One call of an operator, as a pass through a network noted it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from pennyweight.cost.counting.shapes import Shape

__all__ = ["Operation", "Settings"]


class Settings(NamedTuple):
    """Of a convolution: settings that tell two calls of the same shapes apart in time."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    groups: int
    scattered: bool
    """True where the input lies scattered in memory, so that the library copies it first."""


@dataclass(slots=True)
class Operation:
    """One call of an operator. Shapes are with the batch."""

    name: str
    """As torch writes it, without overload: "convolution", "add_"; with its library where that is not torch's own:
    "quantized::linear"."""
    module: str
    """Path of the module that ran it; "" is the network itself."""
    macs: int
    ops: int
    bytes_read: int
    bytes_written: int
    inputs: tuple[Shape, ...]
    output: Shape
    settings: Settings | None
    """Of a convolution; None of any other operator."""
    dtype: torch.dtype
    """What it computes with: of its first operand that is no whole number, else of its first."""
    counted: bool = True
    """False for an operator without a formula: its `macs` and `ops` are not known, and stand as 0."""
    sources: tuple[int | None, ...] = ()
    """For each of `inputs` the place of the operator that last wrote it; None for weights and the network's input."""

"""Record of one operator call, as the tracer wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from pennyweight.cost.counting.shapes import Shape

__all__ = ["Operation", "Settings"]


class Settings(NamedTuple):
    """Settings of a convolution, which affect the time of two calls with the same shapes."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    groups: int
    scattered: bool
    """True if the input is not contiguous in memory, so that the library copies it first."""


@dataclass(slots=True)
class Operation:
    """Call of an operator. Shapes include the batch."""

    name: str
    """Name without overload, such as "convolution" or "add_"; with prefix for other libraries: "quantized::linear"."""
    module: str
    """Path of the module that ran the operator; "" is the network itself."""
    macs: int
    ops: int
    bytes_read: int
    bytes_written: int
    inputs: tuple[Shape, ...]
    output: Shape
    settings: Settings | None
    """Settings of a convolution; None for any other operator."""
    dtype: torch.dtype
    """Type of the numbers: that of the first operand that is not an integer tensor, else of the first operand."""
    counted: bool = True
    """False for an operator without a formula; its `macs` and `ops` are unknown and recorded as 0."""
    sources: tuple[int | None, ...] = ()
    """Index of the operation that last wrote each of `inputs`; None for weights and the network's input."""

"""Shapes of a module's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Shape", "Shapes", "first_shape", "without_batch"]

Shape = tuple[int, ...]
Shapes = tuple[Shape | None, Shape | None]
"""Input shape and output shape; None where there is no tensor."""


def first_shape(*values: Any) -> Shape | None:
    """Return the shape of the first tensor among `values`, also inside lists, dictionaries and dataclasses."""
    with torch._C.DisableTorchFunction():  # otherwise function modes see every access to a shape
        for value in values:
            if isinstance(value, Tensor):
                return tuple(value.shape)
            if isinstance(value, Mapping):
                inside: Iterable[Any] = value.values()
            elif isinstance(value, tuple | list):
                inside = value
            else:
                inside = vars(value).values() if is_dataclass(value) and not isinstance(value, type) else ()
            if (found := first_shape(*inside)) is not None:
                return found
    return None


def without_batch(shape: Shape | None) -> Shape | None:
    """Return a shape without its first dimension."""
    return shape if shape is None else shape[1:]

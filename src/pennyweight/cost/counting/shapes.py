"""Shapes of what goes into a module and comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Shape", "Shapes", "first_shape", "without_batch"]

Shape = tuple[int, ...]
Shapes = tuple[Shape | None, Shape | None]
"""What goes in and what comes out; None where there is no tensor."""


def first_shape(*values: Any) -> Shape | None:
    """Return the shape of the first tensor in them: themselves, or what lists, dictionaries and dataclasses hold."""
    with torch._C.DisableTorchFunction():  # else modes look at each shape that is asked for
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
    """Return a shape without its first side."""
    return shape if shape is None else shape[1:]

"""Work of one operator call, and the type of the formulas that compute it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Arguments", "Formula", "Work"]


class Work(NamedTuple):
    """Work of one operator call: multiply-accumulates (`macs`) and all arithmetic operations (`ops`)."""

    macs: int
    ops: int


Arguments = Sequence[Any]
Formula = Callable[[Arguments, Mapping[str, Any], Any], Work]
"""Function from positional arguments, keyword arguments and result to the work."""

"""Work of one call of an operator, and the form of a formula that finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Arguments", "Formula", "Work"]


class Work(NamedTuple):
    """Of one call of an operator."""

    macs: int
    ops: int


Arguments = Sequence[Any]
Formula = Callable[[Arguments, Mapping[str, Any], Any], Work]
"""Positional arguments, those by name, and the result -> the work."""

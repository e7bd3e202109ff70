"""How weights are used, as their user says it: a file of others' weights often says nothing of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

__all__ = ["Usage"]


class Usage(TypedDict, total=False):
    """What counts before what a file says; None is the same as nothing."""

    stem: str | None
    input_size: int | None
    """Pixels a side; the resize changes with it."""
    config: Mapping[str, Any] | None
    """Fields of the network's Config."""
    mean: Sequence[float] | None
    """For pixels in 0..1: a number for each channel, or one for all."""
    std: Sequence[float] | None
    labels: Sequence[str] | str | None
    """The classes in the order of the head; as text a source that has them so, or a .txt file with one a line."""

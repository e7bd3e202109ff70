"""Usage of weights, given by the user: files of other libraries often do not record it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pennyweight.core.frame import Size

__all__ = ["Usage"]


class Usage(TypedDict, total=False):
    """Values that take precedence over those of the weights' file; None leaves the file's value."""

    stem: str | None
    """First layers: "imagenet", or "cifar" for small pictures."""
    input_size: Size | str | None
    """Pixels a side of the network's input, or (height, width); the resize changes with it."""
    config: Mapping[str, Any] | None
    """Fields of the network's Config."""
    mean: Sequence[float] | None
    """Mean of pixels in 0..1: a number for each channel, or one for all."""
    std: Sequence[float] | None
    """Standard deviation, in the same form."""
    labels: Sequence[str] | str | None
    """Classes in the order of the head; as text a source that has them, or a .txt file with one per line."""

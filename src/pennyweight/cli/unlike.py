"""Last part of `evaluate --strangers` and `doctor --like`: how many pictures are unlike what a network was taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pennyweight.cli import show
from pennyweight.core.text import say

if TYPE_CHECKING:
    from pennyweight.verbs.strangers import Untypical

__all__ = ["finish"]


def finish(
    values: Mapping[str, Any],
    name: str,
    measure: Callable[[], Untypical] | None,
    lines: Callable[[Untypical], tuple[str, ...]],
    *,
    json: bool,
) -> None:
    """Measure and print strangers, or print one JSON object with them. The values are printed also after an error.

    Args:
        values: JSON object of the rest of the command's result.
        name: Key of the strangers in the object.
        measure: Function that measures the strangers; None where none are asked for.
        lines: Function that returns the lines to print.
        json: True prints JSON.
    """
    found: dict[str, Any] = {}
    try:
        if measure is not None:
            unlike = measure()
            found = {name: unlike.to_dict()}
            if not json:
                say(*lines(unlike))
    finally:
        if json:
            show.as_json({**values, **found})

"""Open the first argument of `predict`, `evaluate` and `export`: a run, a bundle, or a name with weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pennyweight.cli import show

if TYPE_CHECKING:
    from pennyweight.verbs.execution import Execution

__all__ = ["open_trained"]


def open_trained(name: str, weights: str | None, execution: Execution | None = None, /, **usage: Any) -> Any:
    """Open a run, a bundle or a network with weights. Print on standard error what its weights did not say."""
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.load import open_trained

    found = open_trained(name, weights, execution=execution or Execution(), **usage)
    for note in getattr(found, "notes", ()):
        show.note(note)
    return found

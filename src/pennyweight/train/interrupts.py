"""Signals in the middle of a backward pass, which Python alone can hear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

__all__ = ["interruptible_backward"]


@contextmanager
def interruptible_backward(model: nn.Module) -> Iterator[None]:
    """Inside, a backward pass on a processor calls Python whenever a parameter has its gradient: a signal that raises
    does so there, not when the whole pass is over. What is computed stays the same."""
    trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
    handles = [parameter.register_post_accumulate_grad_hook(_nothing) for parameter in trained]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _nothing(parameter: Tensor) -> None:
    """Python has been here."""

"""Make a backward pass interruptible: signals reach Python in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

__all__ = ["interruptible_backward"]


@contextmanager
def interruptible_backward(model: nn.Module) -> Iterator[None]:
    """Let a signal handler raise inside a backward pass on the CPU, and not only after it.

    Python runs handlers between its own instructions, and a backward pass is one call into C++. Inside this context
    each parameter calls Python once its gradient is there. The gradients keep their bits.
    """
    trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
    handles = [parameter.register_post_accumulate_grad_hook(_return_to_python) for parameter in trained]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _return_to_python(parameter: Tensor) -> None:
    """Do nothing; the call itself lets Python handle signals."""

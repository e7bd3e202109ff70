"""Interrupt a training: save a checkpoint when a signal asks to stop, and undo a long step to stop at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn

from pennyweight.core.signals import Abandoned
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.distributed import Ranks
from pennyweight.train.state import Progress

__all__ = ["Interrupts", "interruptible_backward"]

LONG_S = 1.0
"""Seconds of a step from which on a signal does not wait for its end."""


class Interrupts:
    """Signals that ask a training to stop, and the checkpoint that is saved before it does.

    A short step is finished first. A long one is undone, where no other rank waits for this one.
    """

    def __init__(self, progress: Progress, checkpointer: Checkpointer, ranks: Ranks, *, compiled: bool) -> None:
        self._progress, self._checkpointer, self._ranks = progress, checkpointer, ranks
        self._compiled = compiled
        self.step_s = math.inf
        """Seconds of the last step."""

    @property
    def wish(self) -> tuple[float, float]:
        """(1 when a checkpoint is due, 1 when a signal asks to stop), for `Ranks.sum`."""
        return self._checkpointer.wish

    def save(self) -> None:
        """Save a checkpoint now. Every rank takes part; the first one writes."""
        self._checkpointer.save(self._progress.state(), writes=not self._ranks.number)
        self._ranks.gather(None)  # a rank that ended now would have torchrun end the one that writes

    def stop(self) -> None:
        """Save a checkpoint, and end the training by the signal's exception."""
        self.save()
        self._checkpointer.stop.end()

    def asked(self) -> bool:
        """Return True if a signal came to any rank. All of them must ask at the same time."""
        return self._ranks.sum([self._checkpointer.wish[1]])[0] > 0

    def stop_if_asked(self) -> None:
        """Stop the training if a signal came to any rank."""
        if self.asked():
            self.stop()

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Undo the work inside when it is abandoned, save the state from before it, and stop."""
        undo = self._progress.undo() if self._abandons else None
        try:
            yield
        except Abandoned:
            assert undo is not None
            undo()
            self.stop()

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """Abandon the work inside as soon as a signal comes, where steps are long and no other rank waits."""
        if not self._abandons:
            yield
            return
        with (
            nullcontext() if self._compiled else interruptible_backward(self._progress.model),
            self._checkpointer.stop.at_once(),
        ):
            yield

    @property
    def _abandons(self) -> bool:
        return self._ranks.count == 1 and self.step_s > LONG_S


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

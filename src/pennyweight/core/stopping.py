"""SIGINT and SIGTERM: when work that can be kept is under way, they wait until it is kept."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["INTERRUPTED", "TERMINATED", "Stop", "heeding_termination", "waiting_for_signals"]

INTERRUPTED = 130
TERMINATED = 143
"""Exit statuses: 128 and the signal's number, as shells have them."""

AGAIN_S = 0.05

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a signal asked to stop. A second one does not wait any longer."""

    def __init__(self) -> None:
        self.asked: int | None = None

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        if self.asked is not None:
            self.end()
        self.asked = number

    def end(self) -> NoReturn:
        """Raise what the signal means: KeyboardInterrupt, or SystemExit with TERMINATED."""
        if self.asked == signal.SIGTERM:
            raise SystemExit(TERMINATED)
        raise KeyboardInterrupt


@contextmanager
def waiting_for_signals() -> Iterator[Stop]:
    """Inside, a signal only sets `asked`; at the end of the block, at the latest, it has its effect.

    Signals belong to a process's first thread: in any other, nothing ever asks.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        if before[number] is not signal.SIG_IGN:  # a shell's background jobs are deaf to Ctrl-C, and stay so
            signal.signal(number, stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.asked is not None:
        stop.end()


def heeding_termination() -> None:
    """From now on SIGTERM ends the process as SIGINT does, so that nothing half-written stays behind.

    A signal that comes while Python runs what may not raise (a weak reference's end, `__del__`) comes once more.
    """

    def terminated(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminated)
        if os.name == "posix":
            sys.unraisablehook = _once_more


def _once_more(unraisable: Any) -> None:
    """Python swallowed an exception: where it was a signal's, raise that again when the place has been left."""
    error = unraisable.exc_value
    if isinstance(error, SystemExit) and error.code == TERMINATED:
        number = signal.SIGTERM
    elif isinstance(error, KeyboardInterrupt):
        number = signal.SIGINT
    else:
        sys.__unraisablehook__(unraisable)
        return
    # To the main thread, which may wait for something and has to be woken.
    again = threading.Timer(AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, number))
    again.daemon = True
    again.start()

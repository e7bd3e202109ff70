"""SIGINT and SIGTERM: during a training, a signal waits until a checkpoint is saved.

`pennyweight` loads this module first, so that it handles signals from the start. Therefore it imports little.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

__all__ = ["INTERRUPTED", "TERMINATED", "Abandoned", "Stop", "deferring_signals", "ending", "handling_signals"]

INTERRUPTED = 130
TERMINATED = 143
"""Exit statuses: 128 and the signal's number, as shells have them."""

STATUSES: Mapping[int, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}

AGAIN_S = 0.02
IMPORT_S = 3.0

_IMPORT = "<frozen importlib._bootstrap>"


class Abandoned(BaseException):
    """Raised by a signal inside work that can be undone, such as a long training step."""


class Stop:
    """Handler that remembers a signal which asks to stop. A second signal ends the work at once."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._at_once = False
        self._heard: float | None = None

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        if self.asked is not None:
            self.end()
        self._heard = self._heard or time.monotonic()
        if self._at_once and os.name == "posix" and _importing(frame) and time.monotonic() - self._heard < IMPORT_S:
            _once_more(number)
            return
        self.asked = number
        if self._at_once:
            raise Abandoned

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise Abandoned inside when a signal comes, or came before."""
        try:
            self._at_once = True
            if self.asked is not None:
                raise Abandoned
            yield
        finally:
            self._at_once = False

    def end(self) -> NoReturn:
        """Raise KeyboardInterrupt after SIGINT, else SystemExit(TERMINATED), also if another rank got the signal."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(TERMINATED) from None


@contextmanager
def deferring_signals() -> Iterator[Stop]:
    """Defer signals inside: a signal only sets `Stop.asked`, and ends the process at the end of the block.

    Python handles signals in the main thread alone: in any other thread `asked` stays None.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in STATUSES}
    for number in STATUSES:
        if before[number] is not signal.SIG_IGN:  # a shell's background jobs are deaf to Ctrl-C, and stay so
            signal.signal(number, stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.asked is not None:
        stop.end()


def handling_signals() -> None:
    """Let SIGINT and SIGTERM raise SystemExit with their status, so that nothing half-written stays behind.

    Some code must not raise: callbacks of weak references, `__del__`, and imports, where extension modules turn an
    exception into an ImportError. A signal during such code is sent again a moment later. It waits for an import no
    longer than IMPORT_S, because imports may take long on a busy machine.
    """
    heard: list[float] = []

    def ended(number: int, frame: FrameType | None) -> None:
        heard.append(time.monotonic())
        if os.name == "posix" and _importing(frame) and heard[-1] - heard[0] < IMPORT_S:
            _once_more(number)
        else:
            raise SystemExit(STATUSES[number])

    if threading.current_thread() is threading.main_thread():
        for number in STATUSES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, ended)
        if os.name == "posix":
            sys.unraisablehook = _unraisable


def ending(status: int) -> int:
    """Return the exit status; after a signal, end the process at once: unloading torch takes seconds."""
    if status in STATUSES.values():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # whoever listened is gone
                stream.flush()
        os._exit(status)
    return status


def _importing(frame: FrameType | None) -> bool:
    """Return True if a module is being imported at `frame` or further out."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


def _unraisable(unraisable: Any) -> None:
    """Send a signal again if Python swallowed its exception. A signal that `Stop` holds has its effect later."""
    if isinstance(unraisable.exc_value, Abandoned):
        return
    for number, status in STATUSES.items():
        if isinstance(unraisable.exc_value, SystemExit) and unraisable.exc_value.code == status:
            _once_more(number)
            return
    sys.__unraisablehook__(unraisable)


def _once_more(number: int) -> None:
    """Send the signal a moment later to the main thread, which may wait for something and has to be woken."""
    again = threading.Timer(AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, number))
    again.daemon = True
    again.start()

"""Run long calls of C libraries so that Ctrl-C can interrupt them; Python handles signals between bytecodes only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["interruptible"]

T = TypeVar("T")


def interruptible(work: Callable[[], T]) -> T:
    """Return the result of `work`; in the main thread, run it in another thread and wait, so that Ctrl-C is handled."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="interruptible", daemon=True).start()  # daemon: the program can end without it
    return done.result()

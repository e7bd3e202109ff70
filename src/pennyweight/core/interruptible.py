"""Work of a library in C that Ctrl-C can end: Python's main thread hears signals only between its own steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["interruptible"]

T = TypeVar("T")


def interruptible(work: Callable[[], T]) -> T:
    """Return what `work` returns, done in a thread of its own where this is the main one, which waits and hears."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="interruptible", daemon=True).start()  # the program ends without waiting for it
    return done.result()

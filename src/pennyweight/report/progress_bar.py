"""Progress of work of unknown length, such as predictions: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pennyweight.core.figures import duration, number
from pennyweight.core.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["QUIET_SECONDS", "CountProgress"]

QUIET_SECONDS = 30.0
"""Longest time without a line about running work where there are no live bars."""
TERMINAL_SETTINGS = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Environment variables by which rich takes a file for a terminal."""


class CountProgress:
    """Context manager that shows how many items are done, the throughput, and the time left.

    `total` returns the number of items, or None. It is called once, in a thread of its own, and only if there is a bar.
    Without a bar, a line is printed every 30 seconds. `clock` gives seconds.
    """

    def __init__(
        self,
        name: str,
        total: Callable[[], int | None],
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.done = 0
        self._name, self._total, self._clock = name, total, clock
        self._console = _console() if console is None and _may_be_terminal() else console
        self._bar = _bar(self._console) if self._console is not None and self._console.is_interactive else None
        self._task = None if self._bar is None else self._bar.add_task(name, total=None, detail="")
        self._started = self._spoke = clock()

    def __enter__(self) -> Self:
        self._started = self._spoke = self._clock()
        if self._bar is not None:
            self._bar.start()
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count one more item as done."""
        self.done += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, detail=self._detail())
        elif self._clock() - self._spoke >= QUIET_SECONDS:
            self._spoke = self._clock()
            self._console = self._console or _console()
            self._console.print(printable(f"{self._name}  {self._detail()}"), highlight=False, markup=False)

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return self._clock() - self._started

    def _detail(self) -> str:
        rate = f"  {self.done / self.seconds:,.0f}/s" if self.seconds > 0 else ""
        return f"{number(self.done)}{rate}" + ("" if self._bar is not None else f"  {duration(self.seconds)}")

    def _count(self) -> None:
        try:
            total = self._total()
        except Exception:  # the work itself meets this error and reports it
            total = None
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)


def _may_be_terminal() -> bool:
    """Return False if standard error is surely no terminal: then rich, which takes 0.04 s, is not imported."""
    return sys.stderr.isatty() or any(name in os.environ for name in TERMINAL_SETTINGS)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        expand=True,
        transient=True,
        refresh_per_second=5,
        # Standard output that goes to a file must arrive there, not be drawn above the bar.
        redirect_stdout=sys.stdout.isatty(),
    )

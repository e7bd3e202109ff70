"""Progress of counted work outside the epochs, such as reading the pictures."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import TaskID

from pennyweight.core.figures import duration, number
from pennyweight.core.text import printable
from pennyweight.report.live_bars import Bars
from pennyweight.report.progress_bar import QUIET_SECONDS

__all__ = ["QUIET_SECONDS", "Phase"]


class Phase:
    """Context manager that shows how much of `total` is done, and leaves one line behind when all of it is.

    `note` prints a line, `bars` are None where nothing is live, `clock` gives seconds.
    """

    def __init__(
        self,
        name: str,
        total: int,
        *,
        note: Callable[[str], None],
        bars: Bars | None,
        clock: Callable[[], float],
    ) -> None:
        self.name, self.total, self.done = name, total, 0
        self._note, self._bars, self._clock = note, bars, clock
        self._started = self._last_line = clock()
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._started = self._last_line = self._clock()
        if self._bars is not None:
            self._task = self._bars.add_task(printable(self.name), total=self.total, detail=self._count())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
        if kind is None:
            self._note(f"{self.name}  {number(self.done)} in {duration(self._clock() - self._started)}")

    def advance(self, n: int = 1) -> None:
        """Count `n` more as done."""
        self.done += n
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self.done, detail=self._count())
        elif self._clock() - self._last_line >= QUIET_SECONDS:
            self._last_line = self._clock()
            self._note(f"{self.name}  {self._count()}")

    def _count(self) -> str:
        return f"{number(self.done)}/{number(self.total)}"

"""Live progress bars: drawn by rich on a terminal, as HTML in a notebook, and not at all in a log or a pipe."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from pennyweight.core.text import printable

__all__ = ["Bars", "NotebookBars", "live_bars", "notebook_display"]

REDRAWS_PER_S = 5
CELL = "text-align: left; white-space: nowrap; font-variant-numeric: tabular-nums"


class Bars(Protocol):
    """Bars that are redrawn in place: a description, the share that is done, and a detail for each task."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def add_task(self, description: str, *, total: float | None = ..., detail: str) -> TaskID: ...

    def update(
        self,
        task_id: TaskID,
        *,
        description: str | None = ...,
        total: float | None = ...,
        completed: float | None = ...,
        detail: str,
    ) -> None: ...

    def remove_task(self, task_id: TaskID) -> None: ...


def live_bars(console: Console) -> Bars | None:
    """Return the bars that suit `console`; None where nothing can be redrawn, so that progress is printed in lines."""
    if console.is_jupyter:
        return NotebookBars()
    return _terminal_bars(console) if console.is_interactive else None


@dataclass(frozen=True)
class _Task:
    description: str
    detail: str
    total: float | None = None
    completed: float = 0.0


class NotebookBars:
    """Bars in the output of a notebook's cell. They need IPython alone: no widgets, which many notebooks lack.

    `clock` gives seconds; `show` takes the place of IPython's `display` in a test.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, show: Callable[..., Any] | None = None) -> None:
        self._tasks: dict[TaskID, _Task] = {}
        self._clock, self._show = clock, show
        self._handle: Any = None
        self._next_id = 0
        self._drawn = float("-inf")

    def start(self) -> None:
        """Draw nothing yet: the first task makes the output."""

    def stop(self) -> None:
        """Draw the last state, which stays in the notebook; nothing stays where every bar was removed."""
        self._draw(at_once=True)

    def add_task(self, description: str, *, total: float | None = None, detail: str) -> TaskID:
        """Add a bar of `total` units; without a total it shows no share."""
        task_id, self._next_id = TaskID(self._next_id), self._next_id + 1
        self._tasks[task_id] = _Task(description, detail, total)
        self._draw(at_once=True)
        return task_id

    def update(
        self,
        task_id: TaskID,
        *,
        description: str | None = None,
        total: float | None = None,
        completed: float | None = None,
        detail: str,
    ) -> None:
        """Change what is given, and redraw at most five times a second."""
        changes = {"description": description, "total": total, "completed": completed, "detail": detail}
        known = {name: value for name, value in changes.items() if value is not None}
        self._tasks[task_id] = replace(self._tasks[task_id], **known)  # type: ignore[arg-type]
        self._draw()

    def remove_task(self, task_id: TaskID) -> None:
        """Remove a bar whose work is done; after the last one, the next bar stands below the lines printed since."""
        del self._tasks[task_id]
        self._draw(at_once=True)
        if not self._tasks:
            self._handle = None

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._drawn < 1 / REDRAWS_PER_S:
            return
        self._drawn = now
        tasks = list(self._tasks.values())
        lines = [f"{task.description}  {task.detail}".strip() for task in tasks]
        content = {"text/html": _table(tasks), "text/plain": printable("  ".join(lines))}
        if self._handle is None:
            if tasks:
                self._handle = (self._show or notebook_display())(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def notebook_display() -> Callable[..., Any]:
    from IPython.display import display  # a notebook has it

    show: Callable[..., Any] = display
    return show


def _table(tasks: list[_Task]) -> str:
    """Return a row for each bar, every text of which is escaped; nothing without bars."""
    rows = []
    for task in tasks:
        value = "" if task.total is None else f' value="{min(task.completed, task.total):g}" max="{task.total:g}"'
        cells = (
            html.escape(printable(task.description)),
            f'<progress style="width: 16em"{value}></progress>',
            html.escape(printable(task.detail)),
        )
        rows.append("<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _terminal_bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        expand=True,
        refresh_per_second=REDRAWS_PER_S,
        # Standard output that goes to a file must arrive there, not be drawn above the bar.
        redirect_stdout=sys.stdout.isatty(),
    )

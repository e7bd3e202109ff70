"""How far downloads are: a live bar for each on a terminal, a line for each anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

__all__ = ["Downloads"]


class Downloads:
    """Shows files as they come, on `console` (standard error unless given); a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console if console is not None else Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=self.console) if self.console.is_interactive else None
        self._tasks: dict[str, TaskID] = {}
        self._named: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None and self._tasks:
            self._bars.stop()

    def advance(self, file: str, done_bytes: int, total_bytes: int | None) -> None:
        """So much of `file` is there; the total is None where the server does not say it."""
        if self._bars is None:
            if file not in self._named:
                self._named.add(file)
                size = f", {total_bytes / 1e6:,.1f} MB" if total_bytes else ""
                self.console.print(f"downloading {file}{size}", markup=False, highlight=False, soft_wrap=True)
            return
        if file not in self._tasks:
            self._bars.start()  # only where something is downloaded at all
            self._tasks[file] = self._bars.add_task(file, total=total_bytes)
        self._bars.update(self._tasks[file], completed=done_bytes, total=total_bytes)

"""Table that is redrawn while a search runs: on a terminal and in a notebook, not in a log, a pipe or a batch job."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from pennyweight.core.text import printable
from pennyweight.report.live_bars import notebook_display
from pennyweight.report.tables import Column, fold, table

__all__ = ["LiveTable", "Picture"]

REDRAWS_PER_S = 2
CELL = "text-align: left; font-variant-numeric: tabular-nums"


class Picture(NamedTuple):
    """Line above the table, its headings and its rows."""

    headline: str
    titles: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()


class LiveTable:
    """Context manager that shows what `draw` returns, twice a second, and leaves nothing behind.

    In a notebook it is redrawn by `update` alone, and stays.
    """

    def __init__(
        self, draw: Callable[[], Picture], console: Console | None = None, *, show: Callable[..., Any] | None = None
    ) -> None:
        self._draw = draw
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        self._show = show
        self._handle: Any = None
        self._drawn = float("-inf")

    @property
    def is_live(self) -> bool:
        """True where something can be redrawn."""
        return self._console.is_jupyter or self._console.is_interactive

    def __enter__(self) -> Self:
        if self._console.is_interactive and not self._console.is_jupyter:
            self._live = Live(
                console=self._console, get_renderable=self._rendered, refresh_per_second=REDRAWS_PER_S, transient=True,
                redirect_stdout=sys.stdout.isatty(), vertical_overflow="crop",
            )  # fmt: skip
            self._live.start(refresh=True)
        return self

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take the table away from a terminal while another console prints a line there."""
        if self._live is not None:
            self._live.stop()
        yield
        if self._live is not None:
            self._live.start(refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self.update(at_once=True)

    def update(self, *, at_once: bool = False) -> None:
        """Redraw the table of a notebook, at most twice a second; that of a terminal is redrawn by itself."""
        now = time.monotonic()
        if not self._console.is_jupyter or (not at_once and now - self._drawn < 1 / REDRAWS_PER_S):
            return
        self._drawn = now
        picture = self._draw()
        content = {"text/html": _html(picture), "text/plain": printable(picture.headline)}
        if self._handle is None:
            self._handle = (self._show or notebook_display())(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def _rendered(self) -> Group:
        picture = self._draw()
        encoding, width = self._console.encoding, self._console.width
        line = Text(fold(printable(picture.headline, encoding), width), style="bold")
        if not picture.rows:
            return Group(line)
        return Group(line, table(None, [Column(title) for title in picture.titles], picture.rows))


def _html(picture: Picture) -> str:
    """Return the table for a notebook; every text in it is escaped."""

    def row(values: Sequence[object], tag: str) -> str:
        cells = (html.escape(printable(str(value))) for value in values)
        return "<tr>" + "".join(f'<{tag} style="{CELL}">{cell}</{tag}>' for cell in cells) + "</tr>"

    rows = "".join(row(values, "td") for values in picture.rows)
    head = row(picture.titles, "th") if rows else ""
    return f"<p>{html.escape(printable(picture.headline))}</p><table>{head}{rows}</table>"

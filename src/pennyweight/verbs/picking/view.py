"""Search as it runs: how far it is, what is best so far, the time that is left, and a table of the best candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console

from pennyweight.core.figures import MISSING, duration, number, several, share
from pennyweight.report.live_table import LiveTable, Picture
from pennyweight.search.picks import EXCEEDS, FITS, MEASURED, Pick, front_of

if TYPE_CHECKING:
    from pennyweight.search.pick import Search
    from pennyweight.search.study import Trial

__all__ = ["SearchView"]

SHOWN = 8
"""Most candidates in the table, besides those that are being tried."""
COSTS = ("network", "input", "params", "ms", "accuracy")
TRIALS = ("network", "input", "ms", "held-out", "95% interval", "trained", "")


class SearchView:
    """Context manager that shows a search on standard error, where that is a terminal or a notebook."""

    def __init__(
        self, note: Callable[[str], None], *, ends: float | None = None, total: int = 0, shown: bool = True
    ) -> None:
        """Show a search.

        Args:
            note: Callback that is given lines, which stand above the table.
            ends: Moment of the monotonic clock until which the time is shown; None for no time.
            total: Number of candidates that are counted first; 0 where it is not known yet.
            shown: False shows nothing, and passes the lines on.
        """
        self._note = note
        self._ends = ends
        self._picture = Picture("looking at the candidates")
        self._total, self._done = total, 0
        hidden = None if shown else Console(quiet=True, force_interactive=False, force_jupyter=False)
        self._table = LiveTable(self._draw, hidden)

    @property
    def is_live(self) -> bool:
        """True where the table is redrawn, so that a line for each candidate is not needed."""
        return self._table.is_live

    def __enter__(self) -> Self:
        self._table.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)

    def note(self, line: str) -> None:
        """Pass a line on, to stand above the table."""
        with self._table.away():
            self._note(line)

    def until(self, ends: float) -> None:
        """Show the time until another moment."""
        self._ends = ends

    def begin(self, what: str) -> None:
        """Show a line on what is done, without a table."""
        self._show(Picture(what))

    def count(self, total: int) -> None:
        """Begin to count `total` candidates."""
        self._total, self._done = total, 0
        self.counted(0)

    def counted(self, more: int) -> None:
        """Show that more candidates were counted."""
        self._done += more
        self._show(Picture(f"counting candidates: {number(self._done)} of {number(self._total)}"))

    def timed(self, search: Search) -> None:
        """Show the front of what may fit, of which some were timed."""
        rows = front_of(row for row in search.picks().candidates if row.verdict != EXCEEDS)
        best = next((row for row in rows if row.verdict == FITS), None)
        line = f"timing bundles: {number(len(search.measured))} timed"
        if best is not None:
            line += f" · best so far {best.name}, {number(best.ms)} ms, {share(best.accuracy or 0.0)}"
        self._show(Picture(line, COSTS, [_cost(row) for row in rows[:SHOWN]]))

    def tried(self, trials: Sequence[Trial], tried: Sequence[Pick], search: Search) -> None:
        """Show the candidates that were tried, the best first, and those that are being tried."""
        names = {each.candidate.name for each in search.counted}
        of_candidates = [trial for trial in trials if trial.name in names]
        running = {trial.name for trial in of_candidates if trial.state == "running"}
        done = sum(trial.state in ("done", "lost") for trial in of_candidates)
        rows = sorted(tried, key=lambda row: -(row.accuracy or 0.0))
        best = next((row for row in rows if row.verdict == FITS), None)
        line = f"trials: {number(done)} of {several(len(of_candidates), 'candidate')}"
        if best is not None:
            line += f" · best so far {best.name}, {share(best.accuracy or 0.0)}, {number(best.ms)} ms"
        shown = [_trial(row, row.name in running) for row in rows if row.name in running or row in rows[:SHOWN]]
        begun = sorted(running - {row.name for row in rows})
        shown += [
            (*_divided(name), number(search.row(name).ms), MISSING, MISSING, MISSING, "being tried") for name in begun
        ]
        self._show(Picture(line, TRIALS, shown))

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        self._table.update()

    def _draw(self) -> Picture:
        if self._ends is None:
            return self._picture
        left = self._ends - time.monotonic()
        text = f"{duration(round(left))} left" if left >= 10 else "a few seconds left"
        return self._picture._replace(headline=f"{text} · {self._picture.headline}")


def _divided(name: str) -> tuple[str, str]:
    network, _, size = name.rpartition(" at ")
    return network, size


def _cost(row: Pick) -> tuple[object, ...]:
    ms = f"{'' if row.ms_is == MEASURED else '≈ '}{number(row.ms)}"
    return (*_divided(row.name), row.params, ms, MISSING if row.accuracy is None else share(row.accuracy))


def _trial(row: Pick, is_running: bool) -> tuple[object, ...]:
    low, high = row.accuracy_interval or (0.0, 1.0)
    state = "being tried" if is_running else "" if row.verdict == FITS else row.verdict
    trained = f"{row.trained_s:.0f} s" if row.trained_s else "a head"
    interval = f"{share(low)} to {share(high)}"
    return (*_divided(row.name), number(row.ms), share(row.accuracy or 0.0), interval, trained, state)

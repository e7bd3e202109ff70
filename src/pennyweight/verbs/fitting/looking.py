"""Look at all pictures before a training, and for twins among them, within `--minutes`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter

from pennyweight import data
from pennyweight.report.progress import TrainingProgress
from pennyweight.train.deadline import TooFewMinutes
from pennyweight.verbs.fitting.request import FitRequest

__all__ = ["look_at_pictures", "look_for_twins"]

MANY = 5_000
"""Pictures among which the search for twins takes longer than a few seconds."""


def look_at_pictures(request: FitRequest, source: data.Source, started: float) -> data.Glances | None:
    """Look at every picture of the source, before it is split."""
    with _phase(request, started, "looking at pictures", len(source.samples), source.streamed) as advance:
        return data.glance_at(source, max_pixels=request.max_pixels, advance=advance)


def look_for_twins(request: FitRequest, glances: data.Glances | None, started: float) -> data.Twins | None:
    """Find the twins; the search among many pictures shows how far it is."""
    if glances is None:
        return None
    with _phase(request, started, "looking for twins", len(glances), len(glances) < MANY) as advance:
        return data.twins_among(glances, advance)


@contextmanager
def _phase(request: FitRequest, started: float, name: str, total: int, quiet: bool) -> Generator[Callable[[int], None]]:
    """Yield a function to call with the number of pictures after each step, which ends when `--minutes` are over.

    Raises InputError then: which pictures are in which split must not depend on the time, so none are left out.
    """

    def check(count: int) -> None:
        if request.minutes is not None and perf_counter() - started > request.minutes * 60:
            raise TooFewMinutes(f"{name} took all of --minutes {request.minutes:g}, before the training: give it more")

    if quiet or not request.progress:
        yield check
        return
    with TrainingProgress(0) as shown, shown.phase(name, total) as phase:

        def advance(count: int) -> None:
            check(count)
            phase.advance(count)

        yield advance

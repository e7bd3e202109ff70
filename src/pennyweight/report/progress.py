"""Progress of training: live bars on a terminal and in a notebook, plain lines in a log, a pipe or a batch job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import TaskID

from pennyweight.core.figures import share
from pennyweight.core.text import say
from pennyweight.report.live_bars import live_bars
from pennyweight.report.phase import QUIET_SECONDS, Phase
from pennyweight.report.time_left import TimeLeft

__all__ = ["Phase", "TrainingProgress"]


@dataclass
class _EpochCounts:
    """Sums over the training steps of one epoch, of which `begun` steps were done before a resume."""

    steps: int = 0
    begun: int = 0
    done: int = 0
    images: int = 0
    loss_sum: float = 0.0
    correct: float | None = 0.0
    waited_s: float | None = 0.0
    """Seconds that the steps waited for the loader; None once a step did not tell."""

    def add(self, loss: float, images: int, correct: float | None, waited_s: float | None) -> None:
        self.correct = None if correct is None or self.correct is None else self.correct + correct
        self.waited_s = None if waited_s is None or self.waited_s is None else self.waited_s + waited_s
        self.done += 1
        self.images += images
        self.loss_sum += loss * images

    def scores(self) -> dict[str, float | None]:
        """Return the training loss and accuracy so far."""
        if not self.images:
            return {"loss": None, "accuracy": None}
        accuracy = None if self.correct is None else self.correct / self.images
        return {"loss": self.loss_sum / self.images, "accuracy": accuracy}

    def speed(self, seconds: float) -> dict[str, float | None]:
        """Return the throughput and the share of `seconds` that went into waiting for the loader."""
        if seconds <= 0:
            return {"images_per_s": None, "loader_share": None}
        loader_share = None if self.waited_s is None else self.waited_s / seconds
        return {"images_per_s": self.images / seconds, "loader_share": loader_share}


class TrainingProgress:
    """Callback and context manager that shows a training of `epochs` epochs on `console` (default: standard error).

    The throughput is that of training steps alone: validation, checkpoints and phases do not count. The time left is
    that of the whole training. `clock` gives seconds.
    """

    def __init__(
        self, epochs: int, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console if console is not None else Console(stderr=True)
        self._clock = clock
        self._bars = live_bars(self.console)
        self._epochs_task: TaskID | None = None
        self._steps_task: TaskID | None = None
        self._left = TimeLeft(epochs)
        self.earlier = 0
        """Epochs of the trainings before this one, which other folds had."""
        self._epoch = 0
        self._counts = _EpochCounts()
        self._val_accuracy: float | None = None
        self._finished = False
        self._started = self._last_step = self._last_line = clock()

    @property
    def epochs(self) -> int:
        """Number of epochs that are expected in all."""
        return self._left.epochs

    def expect(self, epochs: int, *, apart: int | None = None, work: Callable[[range], float] | None = None) -> None:
        """Expect `epochs` epochs in all, the first `apart` of another kind, such as those of a linear probe.

        `work` gives the amount of work in a range of the other epochs, as `TimeLeft` takes it. What is not given stays
        as it was.
        """
        self._left.expect(epochs, apart=apart, work=work)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            if kind is not None:
                self._remove_bars()
            self._bars.stop()
        if kind is not None and self._counts.steps and not self._finished:
            self.note(f"stopped in {self._epoch_text()}  {self._step_text()}  {_text_of(self._scores())}".rstrip())

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None:
        """Begin epoch number `epoch`, counted from 1, of `steps` steps; `done` of them were done before a resume."""
        epoch += self.earlier
        self._epoch = epoch
        self._counts = _EpochCounts(steps=steps, begun=done, done=done)
        self._finished = False
        self._started = self._last_step = self._last_line = self._clock()
        self._left.begin(epoch, 1 - done / max(steps, 1))
        if self._bars is not None and self._epochs_task is None:
            self._epochs_task = self._bars.add_task("", total=self.epochs, detail="")
            self._steps_task = self._bars.add_task("", total=steps, detail="")
        self._redraw()

    def step(self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None) -> None:
        """Add one training step: its mean loss, its images, how many were `correct`, and the wait for the loader."""
        self._counts.add(loss, images, correct, waited_s)
        self._last_step = self._clock()
        self._redraw()
        if self._bars is None and self._last_step - self._last_line >= QUIET_SECONDS:
            figures = {**self._scores(), **self._speed(), "left": self._seconds_left()}
            self._print(f"{self._epoch_text()}  {self._step_text()}  {_text_of(figures)}")

    def epoch_finished(self, metrics: Mapping[str, Any]) -> None:
        """End the epoch after its validation; `metrics` is its line of metrics.jsonl."""
        self._left.finish(self._clock() - self._started)
        self._counts.done = self._counts.steps
        self._finished = True
        self._val_accuracy = metrics.get("val_accuracy")
        if self._bars is not None:
            self._redraw()
            return
        speed = metrics.get("images_per_s")
        figures = {
            "loss": metrics.get("train_loss"),
            "accuracy": metrics.get("train_accuracy"),
            "val_accuracy": self._val_accuracy,
            "images_per_s": self._speed()["images_per_s"] if speed is None else speed,
            "loader_share": metrics.get("loader_share"),
            "left": self._seconds_left(),
        }
        self._print(f"{self._epoch_text()}  {_text_of(figures)}")

    def note(self, text: str) -> None:
        """Print a line of its own, above the bars if there are any."""
        say(text, console=self.console)

    def phase(self, name: str, total: int) -> Phase:
        """Return the progress of work outside the epochs: `with progress.phase("reading", 100) as p: p.advance()`."""
        return Phase(name, total, note=self.note, bars=self._bars, clock=self._clock)

    def _remove_bars(self) -> None:
        """Remove the bars of a training that was interrupted: a notebook would show them as if it went on."""
        for task in (self._epochs_task, self._steps_task):
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
        self._epochs_task = self._steps_task = None

    def _print(self, line: str) -> None:
        self._last_line = self._clock()
        self.note(line)

    def _redraw(self) -> None:
        if self._bars is None or self._epochs_task is None or self._steps_task is None:
            return
        counts = self._counts
        part = 1.0 if self._finished else counts.done / max(counts.steps, 1)
        self._bars.update(
            self._epochs_task,
            description=self._epoch_text(),
            total=self.epochs,
            completed=self._epoch - 1 + part,
            detail=_text_of({**self._scores(), "left": self._seconds_left()}),
        )
        self._bars.update(
            self._steps_task,
            description=self._step_text(),
            total=counts.steps,
            completed=counts.done,
            detail=_text_of(self._speed()),  # in this row, so that a narrow terminal has room for the time left
        )

    def _epoch_text(self) -> str:
        return f"epoch {self._epoch:{len(str(self.epochs))}}/{self.epochs}"

    def _step_text(self) -> str:
        steps = self._counts.steps
        return f"step {self._counts.done:{len(str(steps))}}/{steps}"

    def _scores(self) -> dict[str, float | None]:
        return {**self._counts.scores(), "val_accuracy": self._val_accuracy}

    def _speed(self) -> dict[str, float | None]:
        return self._counts.speed(self._last_step - self._started)

    def _seconds_left(self) -> float | None:
        counts, spent = self._counts, self._clock() - self._started
        done, steps = counts.done - counts.begun, counts.steps - counts.begun
        return self._left.seconds(spent, done=done, steps=steps, finished=self._finished)


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


TEXTS: Mapping[str, Callable[[float], str]] = {
    "loss": lambda value: f"loss {value:.3f}",
    "accuracy": lambda value: f"accuracy {share(value)}",
    "val_accuracy": lambda value: f"val accuracy {share(value)}",
    "images_per_s": lambda value: f"{value:,.0f} images/s",
    "loader_share": lambda value: f"loader {value:.0%}",
    "left": lambda value: f"left {_clock_text(value)}",
}
"""Texts of the figures, in the order in which they stand."""


def _text_of(figures: Mapping[str, float | None]) -> str:
    """Return the known figures in one line."""
    known = ((text, figures.get(name)) for name, text in TEXTS.items())
    return "  ".join(text(value) for text, value in known if value is not None)

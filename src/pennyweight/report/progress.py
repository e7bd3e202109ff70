"""How far training is: live bars on a terminal, plain lines anywhere else (a log, a pipe, a batch job)."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from statistics import fmean
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from pennyweight.core.figures import duration, number, share
from pennyweight.core.text import printable, say

__all__ = ["Phase", "TrainingProgress"]

RECENT_EPOCHS = 5  # epochs whose mean length predicts the rest; the first is often slower than all others
QUIET_SECONDS = 30.0  # at most this long without a line of an epoch's steps or of a phase, where nothing is live


class TrainingProgress:
    """Shows a training of `epochs` epochs on `console` (standard error unless given); a context manager.

    Images per second are those of training steps alone: validation, checkpoints and other phases do not count. The time
    left is that of the whole training, from the lengths of the last epochs and the work in those to come. `clock` gives
    seconds.
    """

    def __init__(
        self, epochs: int, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console if console is not None else Console(stderr=True)
        self._clock = clock
        self._bars = _bars(self.console) if self.console.is_interactive else None
        self._task: TaskID | None = None
        self._step_task: TaskID | None = None
        self._lengths: deque[float] = deque(maxlen=RECENT_EPOCHS)  # for each unit of work
        self._val_accuracy: float | None = None
        self._epoch = self._steps = self._begun = self._steps_done = self._images = 0
        self._share_left = 1.0
        self._loss_sum = 0.0
        self._right: float | None = 0.0
        self._waited_s: float | None = 0.0
        self._finished = False
        self._started = self._last_step = self._spoke = clock()
        self.epochs, self._apart = epochs, 0
        self._work_of: Callable[[range], float] = len
        self._see_work()

    def expect(self, epochs: int, *, apart: int | None = None, work: Callable[[range], float] | None = None) -> None:
        """So many epochs in all, the first `apart` of another kind, which say nothing of the time that the rest takes.

        `work` says how much a row of that rest is, counted from 1, in any unit, where its epochs are not alike. What is
        not given stays as it was.
        """
        self.epochs = epochs
        self._apart = self._apart if apart is None else apart
        self._work_of = work or self._work_of
        self._see_work()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None:
        """Epoch number `epoch` (the first is 1; a resumed training starts later) begins; it has `steps` steps, of which
        so many are `done`."""
        self._start_epoch(epoch, steps, done)
        if self._bars is not None and self._task is None:
            self._task = self._bars.add_task("", total=self.epochs, detail="")
            self._step_task = self._bars.add_task("", detail="")
        self._show()

    def step(self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None) -> None:
        """One training step is done: its mean loss, how many images it took, how many of them were `right`, and how
        long it waited for them."""
        self._right = None if correct is None or self._right is None else self._right + correct
        self._waited_s = None if waited_s is None or self._waited_s is None else self._waited_s + waited_s
        self._steps_done += 1
        self._images += images
        self._loss_sum += loss * images
        self._last_step = self._clock()
        self._show()
        if self._bars is None and self._last_step - self._spoke >= QUIET_SECONDS:
            self._say(self._heading() + self._steps_text() + "  " + _detail(**self._learnt(), **self._pace()))

    def epoch_finished(self, metrics: Mapping[str, Any]) -> None:
        """Validation is done too; `metrics` is the epoch's line of metrics.jsonl."""
        if self._work:  # else it had nothing but its validation left, or is none of those that are alike
            self._lengths.append((self._clock() - self._started) / self._work)
        self._steps_done = self._steps
        self._finished = True
        self._val_accuracy = metrics.get("val_accuracy")
        if self._bars is not None:
            self._show()
            return
        speed = metrics.get("images_per_s")
        self._say(
            self._heading()
            + _detail(
                loss=metrics.get("train_loss"),
                accuracy=metrics.get("train_accuracy"),
                val_accuracy=self._val_accuracy,
                images_per_s=self._images_per_s() if speed is None else speed,
                loader_share=metrics.get("loader_share"),
                left=self._left(),
            )
        )

    def _say(self, text: str) -> None:
        self._spoke = self._clock()
        self.note(text)

    def note(self, text: str) -> None:
        """Say something in a line of its own, above the bar if there is one."""
        say(text, console=self.console)

    def phase(self, name: str, total: int) -> Phase:
        """Work beside the epochs, such as reading `total` pictures: `with progress.phase(...) as p: p.advance()`."""
        return Phase(name, total, note=self.note, bars=self._bars, clock=self._clock)

    def _start_epoch(self, epoch: int, steps: int, done: int) -> None:
        self._epoch, self._steps = epoch, steps
        self._share_left = 1 - done / max(steps, 1)
        self._see_work()
        self._begun = self._steps_done = done
        self._images = 0
        self._loss_sum = self._right = self._waited_s = 0.0
        self._finished = False
        self._started = self._last_step = self._spoke = self._clock()

    def _see_work(self) -> None:
        epoch, last = self._epoch - self._apart, self.epochs - self._apart
        now, to_come = range(max(epoch, 1), epoch + 1), range(max(epoch, 0) + 1, last + 1)
        self._work, self._work_to_come = (self._work_of(epochs) if epochs else 0.0 for epochs in (now, to_come))
        self._work *= self._share_left

    def _show(self) -> None:
        if self._bars is None or self._task is None or self._step_task is None:
            return
        pace = self._pace()  # beside the steps, so that a narrow terminal has room for the time left
        self._bars.update(
            self._task,
            description=self._heading().rstrip(),
            completed=self._epoch - 1 + self._done(),
            detail=_detail(**self._learnt(), left=pace.pop("left")),
        )
        self._bars.update(
            self._step_task,
            description=self._steps_text(),
            total=self._steps,
            completed=self._steps_done,
            detail=_detail(**pace),
        )

    def _learnt(self) -> dict[str, float | None]:
        """What the epoch has learnt as far as it is."""
        return {
            "loss": self._loss_sum / self._images if self._images else None,
            "accuracy": self._right / self._images if self._images and self._right is not None else None,
            "val_accuracy": self._val_accuracy,
        }

    def _pace(self) -> dict[str, float | None]:
        """How quick it is."""
        return {"images_per_s": self._images_per_s(), "loader_share": self._loader_share(), "left": self._left()}

    def _steps_text(self) -> str:
        width = len(str(self._steps))
        return f"step {self._steps_done:{width}}/{self._steps}"

    def _heading(self) -> str:
        width = len(str(self.epochs))
        return f"epoch {self._epoch:{width}}/{self.epochs}  "

    def _done(self) -> float:
        """How much of this epoch is done, 0 to 1."""
        return 1.0 if self._finished else self._steps_done / max(self._steps, 1)

    def _images_per_s(self) -> float | None:
        seconds = self._last_step - self._started
        return self._images / seconds if seconds > 0 else None

    def _loader_share(self) -> float | None:
        """Of the training's time, how much was spent waiting for pictures."""
        seconds = self._last_step - self._started
        return self._waited_s / seconds if seconds > 0 and self._waited_s is not None else None

    def _left(self) -> float | None:
        """Seconds until the last epoch ends; None until there is anything to judge by."""
        if self._epoch <= self._apart < self.epochs:
            return None
        spent, steps = self._clock() - self._started, self._steps_done - self._begun
        by_steps = spent * (self._steps - self._begun) / steps if steps else 0.0  # all that was left of this epoch
        if self._lengths:
            length = fmean(self._lengths)
        elif steps:
            length = by_steps / self._work
        else:
            return None
        whole = length * self._work
        rest = 0.0 if self._finished else max((whole if whole > spent else by_steps) - spent, 0.0)
        return rest + length * self._work_to_come


class Phase:
    """One piece of counted work; a context manager. It leaves a line behind where nothing is live."""

    def __init__(
        self,
        name: str,
        total: int,
        *,
        note: Callable[[str], None],
        bars: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self.name, self.total, self.done = name, total, 0
        self._note, self._bars, self._clock = note, bars, clock
        self._started = self._spoke = clock()
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._started = self._spoke = self._clock()
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
        """`n` more are done."""
        self.done += n
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self.done, detail=self._count())
        elif self._clock() - self._spoke >= QUIET_SECONDS:
            self._spoke = self._clock()
            self._note(f"{self.name}  {self._count()}")

    def _count(self) -> str:
        return f"{number(self.done)}/{number(self.total)}"


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        expand=True,
        refresh_per_second=5,
        # Standard output that goes to a file must arrive there, not be drawn above the bar.
        redirect_stdout=sys.stdout.isatty(),
    )


def _detail(
    *,
    loss: float | None = None,
    accuracy: float | None = None,
    val_accuracy: float | None = None,
    images_per_s: float | None = None,
    loader_share: float | None = None,
    left: float | None = None,
) -> str:
    parts = []
    if loss is not None:
        parts.append(f"loss {loss:.3f}")
    if accuracy is not None:
        parts.append(f"accuracy {share(accuracy)}")
    if val_accuracy is not None:
        parts.append(f"val accuracy {share(val_accuracy)}")
    if images_per_s is not None:
        parts.append(f"{images_per_s:,.0f} images/s")
    if loader_share is not None:
        parts.append(f"loader {loader_share:.0%}")
    if left is not None:
        parts.append(f"left {_clock_text(left)}")
    return "  ".join(parts)


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"

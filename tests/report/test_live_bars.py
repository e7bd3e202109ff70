"""A notebook gets bars that are redrawn in place, without widgets; a terminal gets rich's, a pipe none."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from pennyweight.report.live_bars import NotebookBars, live_bars
from pennyweight.report.progress import TrainingProgress


class Cell:
    """The output of a notebook's cell: its displays, and every content that the newest one had."""

    def __init__(self) -> None:
        self.displays = 0
        self.drawn: list[dict[str, str]] = []

    def __call__(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        self.displays += 1
        self.drawn.append(content)
        return self

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        self.drawn.append(content)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_place_decides_which_bars_there_are() -> None:
    assert isinstance(live_bars(Console(file=io.StringIO(), force_jupyter=True)), NotebookBars)
    assert live_bars(Console(file=io.StringIO(), force_interactive=True)) is not None
    assert live_bars(Console(file=io.StringIO(), force_interactive=False, force_jupyter=False)) is None


def test_a_training_in_a_notebook_is_one_display_that_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, clock = Cell(), Clock()
    monkeypatch.setattr("pennyweight.report.progress.live_bars", lambda console: NotebookBars(clock=clock, show=cell))
    with TrainingProgress(2, Console(file=io.StringIO(), force_jupyter=False), clock=clock) as progress:
        for epoch in (1, 2):
            progress.epoch_started(epoch, 100)
            for _ in range(100):
                clock.now += 0.01
                progress.step(0.5, 32, correct=16)
            progress.epoch_finished({"val_accuracy": 0.75})
    assert cell.displays == 1
    assert 5 < len(cell.drawn) < 20  # not one for each of the 200 steps
    first, last = (cell.drawn[place]["text/html"] for place in (2, -1))
    assert 'max="2"' in first
    assert 'value="2"' not in first
    assert 'value="2" max="2"' in last
    assert "loss 0.500  accuracy 50.0%  val accuracy 75.0%  left 0:00" in last
    assert cell.drawn[-1]["text/plain"].startswith("epoch 2/2  loss 0.500")


def test_bars_after_the_last_one_stand_in_a_new_display() -> None:
    cell = Cell()
    bars = NotebookBars(show=cell)
    first = bars.add_task("reading", total=10, detail="0/10")
    bars.remove_task(first)
    assert "reading" not in cell.drawn[-1]["text/html"]
    bars.add_task("epoch", total=3, detail="")
    assert cell.displays == 2


def test_text_of_a_bar_is_escaped() -> None:
    cell = Cell()
    bars = NotebookBars(show=cell)
    task = bars.add_task("<script>x</script>\x1b[2J", detail="<b>&")
    bars.update(task, completed=3, detail="<img src=x>")
    bars.stop()
    drawn: Any = cell.drawn[-1]["text/html"]
    assert set(re.findall(r"<(\w+)", drawn)) == {"table", "tr", "td", "progress"}
    assert "&lt;script&gt;" in drawn
    assert "\x1b" not in drawn + cell.drawn[-1]["text/plain"]
    assert "value=" not in drawn  # without a total there is no share


def stop_in_epoch_2(console: Console, stopped_by: type[BaseException]) -> None:
    """Train a step of the second epoch, and stop."""
    with TrainingProgress(3, console) as progress:
        progress.epoch_started(2, 20)
        progress.step(0.5, 32, correct=16)
        raise stopped_by


def stop_while_reading(console: Console) -> None:
    """Read a picture, and stop."""
    with TrainingProgress(3, console) as progress, progress.phase("reading pictures", 10) as phase:
        phase.advance()
        raise KeyboardInterrupt


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, SystemExit, OSError])
def test_an_interrupted_cell_leaves_no_bar_and_says_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, stopped_by: type[BaseException]
) -> None:
    cell = Cell()
    monkeypatch.setattr("pennyweight.report.progress.live_bars", lambda console: NotebookBars(show=cell))
    said = io.StringIO()
    for displays in (1, 2):  # the cell can be run again
        with pytest.raises(stopped_by):
            stop_in_epoch_2(Console(file=said, force_jupyter=False, width=100), stopped_by)
        assert cell.drawn[-1] == {"text/html": "", "text/plain": ""}
        assert cell.displays == displays
        assert said.getvalue() == "stopped in epoch 2/3  step  1/20  loss 0.500  accuracy 50.0%\n" * displays


def test_an_interrupted_reading_leaves_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell()
    monkeypatch.setattr("pennyweight.report.progress.live_bars", lambda console: NotebookBars(show=cell))
    said = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        stop_while_reading(Console(file=said, force_jupyter=False))
    assert "reading" in cell.drawn[0]["text/html"]
    assert cell.drawn[-1] == {"text/html": "", "text/plain": ""}
    assert said.getvalue() == ""


def test_an_interrupted_terminal_leaves_no_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, force_interactive=True, width=80, color_system=None)
    with pytest.raises(KeyboardInterrupt):
        stop_in_epoch_2(console, KeyboardInterrupt)
    after = screen.getvalue().rsplit("\x1b[?25h", 1)[-1]
    assert after.strip() == "stopped in epoch 2/3  step  1/20  loss 0.500  accuracy 50.0%"

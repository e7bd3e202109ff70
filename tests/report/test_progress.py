"""Training shows where it stands: a line an epoch in a log, a live bar on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from pennyweight.report.progress import TrainingProgress

METRICS = {"train_loss": 0.4123, "val_loss": 0.5, "val_accuracy": 0.931, "images_per_s": 1234.4, "seconds": 2.0}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def log() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=False, width=40), stream


def test_a_log_gets_one_line_an_epoch() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(20, console, clock=clock) as progress:
        for epoch in (1, 2, 3):
            progress.epoch_started(epoch, 2)
            progress.step(0.5, 32)
            progress.step(0.4, 32)
            clock.now += 41 / 17
            progress.epoch_finished({"epoch": epoch, **METRICS})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[2] == "epoch  3/20  loss 0.412  val accuracy 93.1%  1,234 images/s  left 0:41"


def test_time_left_follows_the_epochs_seen_and_counts_from_where_a_run_was_resumed() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(20, console, clock=clock) as progress:
        progress.epoch_started(11, 1)
        clock.now += 600
        progress.epoch_finished({"epoch": 11, **METRICS})
        clock.now += 5000  # what happens between epochs is not training
        progress.epoch_started(12, 1)
        clock.now += 300
        progress.epoch_finished({"epoch": 12, **METRICS})
    first, second = stream.getvalue().splitlines()
    assert first.endswith("left 1:30:00")
    assert second.endswith("left 1:00:00")


@pytest.mark.parametrize("interactive", [False, True])
def test_an_epoch_resumed_before_its_validation_has_no_step_left_to_judge_by(interactive: bool) -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=interactive, force_interactive=interactive, width=100)
    with TrainingProgress(3, console, clock=clock) as progress:
        progress.epoch_started(1, 4, 4)
        clock.now += 10
        progress.epoch_finished({"epoch": 1, **METRICS})
        progress.epoch_started(2, 4, 0)
        clock.now += 60
        progress.epoch_finished({"epoch": 2, **METRICS})
    said = stream.getvalue()
    assert "left 1:00" in said
    assert "left 0:10" not in said


def test_epochs_of_the_last_layer_say_nothing_of_the_networks() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(4, console, clock=clock) as progress:
        progress.expect(6, apart=4, work=sum)  # of the network's own epochs, counted from 1
        for epoch, seconds in ((1, 0.05), (2, 0.05), (3, 60), (4, 120)):
            if epoch == 3:
                progress.expect(4, apart=2)  # those of the last layer ended early
            progress.epoch_started(epoch, 2)
            progress.step(0.5, 32)
            clock.now += seconds
            progress.step(0.5, 32)
            progress.epoch_finished({"epoch": epoch, **METRICS})
    *head, between, third, _, fourth = stream.getvalue().splitlines()
    assert [line.partition("left ")[2] for line in (*head, between, third, fourth)] == ["", "", "2:00", "2:00", "0:00"]


def test_an_epoch_that_takes_longer_than_those_before_it_has_time_left() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(2, console, clock=clock) as progress:
        progress.epoch_started(1, 4)
        clock.now += 10
        progress.epoch_finished({"epoch": 1, **METRICS})
        progress.epoch_started(2, 4)
        clock.now += 40
        progress.step(0.5, 32)
    assert stream.getvalue().splitlines()[-1].endswith("left 2:00")


def test_a_terminal_of_80_columns_has_room_for_every_figure() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, force_interactive=True, width=80)
    with TrainingProgress(100, console, clock=clock) as progress:
        for epoch in (1, 2):
            progress.epoch_started(epoch, 1000)
            progress.step(0.5, 128, correct=64, waited_s=1.0)
            clock.now += 10_000
            progress.step(0.5, 128, correct=64, waited_s=1.0)
            progress.epoch_finished({"epoch": epoch, **METRICS})
    said = stream.getvalue()
    assert re.search(r"loss 0\.500  accuracy 50\.0%  val accuracy 93\.1%  left \d+:\d\d:\d\d", said)
    assert re.search(r"\d images/s  loader \d+%", said)


def test_time_left_knows_that_later_epochs_are_more_work() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(4, console, clock=clock) as progress:
        progress.expect(4, work=sum)
        progress.epoch_started(1, 1)
        clock.now += 60
        progress.epoch_finished({"epoch": 1, **METRICS})
        progress.epoch_started(2, 1)
        clock.now += 120
        progress.epoch_finished({"epoch": 2, **METRICS})
        progress.epoch_started(3, 1)
        clock.now += 180
        progress.expect(5, work=sum)
        progress.epoch_finished({"epoch": 3, **METRICS})
    first, second, third = stream.getvalue().splitlines()
    assert first.endswith("left 9:00")  # two, three and four minutes
    assert second.endswith("left 7:00")
    assert third.endswith("left 9:00")  # four minutes, and five


def test_throughput_is_that_of_the_training_steps_alone() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(1, console, clock=clock) as progress:
        progress.epoch_started(1, 2)
        for _ in range(2):
            clock.now += 1
            progress.step(0.5, 32)
        clock.now += 100  # validation
        progress.epoch_finished({"epoch": 1, "train_loss": 0.5, "val_accuracy": None})
    assert stream.getvalue() == "epoch 1/1  loss 0.500  32 images/s  left 0:00\n"


def test_notes_are_whole_lines_taken_literally() -> None:
    console, stream = log()
    with TrainingProgress(1, console) as progress:
        progress.note("[red] 3 pictures could not be read and were left out: " + "x" * 60)
    assert stream.getvalue() == "[red] 3 pictures could not be read and were left out: " + "x" * 60 + "\n"


def test_a_phase_leaves_one_line_and_speaks_up_when_it_takes_long() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(1, console, clock=clock) as progress, progress.phase("reading pictures", 5000) as phase:
        for _ in range(50):
            clock.now += 1
            phase.advance(100)
    assert stream.getvalue().splitlines() == ["reading pictures  3,000/5,000", "reading pictures  5,000 in 50 s"]


def test_a_phase_that_fails_does_not_claim_to_be_done() -> None:
    console, stream = log()
    with pytest.raises(RuntimeError), TrainingProgress(1, console) as progress, progress.phase("reading", 5):
        raise RuntimeError
    assert stream.getvalue() == ""


def test_an_epoch_that_takes_long_says_where_it_is() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(2, console, clock=clock) as progress:
        progress.epoch_started(1, 200)
        for _ in range(9):
            clock.now += 10
            progress.step(0.25, 64, correct=32)
    assert stream.getvalue().splitlines() == [
        f"epoch 1/2  step {step:3}/200  loss 0.250  accuracy 50.0%  6 images/s  left {left}"
        for step, left in ((3, "1:06:10"), (6, "1:05:40"), (9, "1:05:10"))
    ]


def test_an_epoch_that_goes_on_counts_what_was_done() -> None:
    console, stream = log()
    clock = Clock()
    with TrainingProgress(2, console, clock=clock) as progress:
        progress.epoch_started(1, 200, 100)
        for _ in range(3):
            clock.now += 10
            progress.step(0.25, 64)
        for _ in range(97):
            progress.step(0.25, 64)
        progress.epoch_finished({"epoch": 1, **METRICS})
    first, last = stream.getvalue().splitlines()
    assert first.startswith("epoch 1/2  step 103/200")
    assert first.endswith("left 49:30")  # 97 steps of 10 s, and 200
    assert last.endswith("left 1:00")  # twice the 30 s of a half


def test_a_terminal_gets_live_bars_for_epochs_and_steps() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, force_interactive=True, width=80, color_system=None)
    clock = Clock()
    with TrainingProgress(20, console, clock=clock) as progress:
        for epoch in (1, 2):
            progress.epoch_started(epoch, 2)
            for _ in range(2):
                clock.now += 1
                progress.step(0.25, 64)
            clock.now += 1
            progress.epoch_finished({"epoch": epoch, **METRICS})
        with progress.phase("scoring", 9) as phase:
            phase.advance(9)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", stream.getvalue())
    epochs, steps = drawn.strip().splitlines()[-2:]
    assert steps.startswith("step 2/2 ")
    assert epochs.startswith("epoch  2/20 ")
    assert epochs.rstrip().endswith("loss 0.250  val accuracy 93.1%  left 0:54")
    assert steps.rstrip().endswith("64 images/s")
    assert "scoring  9 in 0.0 s" in stream.getvalue()


def test_without_a_console_it_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(1) as progress:
        progress.note("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")

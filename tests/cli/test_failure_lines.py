"""What a failure looks like: its status and its line, whatever it is."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
SMALL = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16", "--epochs", "1")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_shows_the_traceback_before_the_line(pennyweight: Run, place: int) -> None:
    arguments = ["weigh", "mobilnet_v2"]
    arguments.insert(place, "--debug")
    outcome = pennyweight(*arguments)
    assert outcome.status == 1
    assert outcome.err.startswith("Traceback (most recent call last)")
    assert outcome.err.splitlines()[-1] == "error: unknown network 'mobilnet_v2'; did you mean 'mobilenet_v2'?"


def test_what_nobody_expected_is_one_line_that_asks_for_debug(
    pennyweight: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("division by zero\nsecond line")

    monkeypatch.setattr("pennyweight.verbs.weigh.weigh_all", broken)
    outcome = pennyweight("weigh", "mobilenet_v2")
    assert outcome.status == 1
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: unexpected ZeroDivisionError: division by zero; --debug shows where")


def test_what_the_system_refuses_is_one_line(pennyweight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device", "/disk/run.json")

    monkeypatch.setattr("pennyweight.verbs.weigh.weigh_all", full)
    assert pennyweight("weigh", "mobilenet_v2").error == "error: No space left on device: /disk/run.json"


def test_brackets_and_control_characters_in_names_are_text(
    cannot: Callable[..., str], bundle_file: Path, tmp_path: Path
) -> None:
    assert "[bold]x[/bold].png" in cannot("predict", bundle_file, tmp_path / "[bold]x[/bold].png")


def test_a_name_that_would_break_the_line_or_steer_the_terminal(
    cannot: Callable[..., str], bundle_file: Path, tmp_path: Path
) -> None:
    line = cannot("predict", bundle_file, tmp_path / "two\nlines\x1b[31m.png")
    assert line.isprintable()


def test_a_label_of_brackets_is_shown_as_it_is(pennyweight: Run, tmp_path: Path, empty: Path) -> None:
    for label, level in (("[red]", 30), ("[bold]", 220)):
        (tmp_path / "odd" / label).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((8, 8, 3), level + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "odd" / label / f"{number}.png")
    assert pennyweight("fit", tmp_path / "odd", *SMALL, "--out", "run").status == 0
    shown = pennyweight("evaluate", "run").out
    assert "[red]" in shown
    assert "[bold]" in shown


FAILS_AT_A_SIGNAL = """
import os, sys
from pennyweight.cli import app, program, show
from pennyweight.core.errors import PennyweightError
from pennyweight.core.signals import handling_signals

handling_signals()
told = show.failure

def command():
    try:
        raise PennyweightError("the other rank is lost")
    except PennyweightError:
        if sys.argv[1] == "on its way":
            os.kill(os.getpid(), int(sys.argv[2]))
        raise

def failure(line):
    if sys.argv[1] == "being told":
        os.kill(os.getpid(), int(sys.argv[2]))
    told(line)

show.failure, app.make_command = failure, lambda: lambda *arguments, **options: command()
sys.exit(program.main([]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["on its way", "being told"])
def test_a_signal_does_not_hide_the_failure_that_it_follows(moment: str, number: int) -> None:
    command = [sys.executable, "-c", FAILS_AT_A_SIGNAL, moment, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    status = 1 if moment == "being told" else 128 + number
    assert (done.returncode, done.stderr) == (status, "error: the other rank is lost\n")

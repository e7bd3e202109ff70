"""Signals are heard wherever they come."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pennyweight.core.signals import INTERRUPTED, TERMINATED, Abandoned, Stop

# A signal comes while an object ends, where Python swallows what is raised.
PROGRAM = """
import signal, time
from pennyweight.core.signals import handling_signals

class Ending:
    def __del__(self):
        signal.raise_signal(signal.{name})
        time.sleep(0)

handling_signals()
ending = Ending()
del ending
time.sleep(20)
"""

# One comes while a module is being imported that, as extension modules do, makes an ImportError of what is raised.
IMPORTED = """
import signal
try:
    signal.raise_signal(signal.{name})
except BaseException as error:
    raise ImportError("initialization failed") from error
"""
IMPORTING = """
import time
from pennyweight.core.signals import handling_signals

handling_signals()
import {module}
time.sleep(20)
"""

ENDS = [("SIGTERM", TERMINATED), ("SIGINT", INTERRUPTED)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("name", "status"), ENDS)
def test_a_signal_that_python_swallows_comes_again(name: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(name=name)], capture_output=True, timeout=15)
    assert done.returncode == status
    assert b"ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("name", "status"), ENDS)
def test_a_signal_in_an_import_waits_for_its_end(name: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "slow_part.py").write_text(IMPORTED.format(name=name))
    program = IMPORTING.format(module="slow_part")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=15, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (status, b"")


WORKING = """
from pennyweight.core.signals import Abandoned, handling_signals, deferring_signals

handling_signals()
with deferring_signals() as stop:
    try:
        with stop.at_once():
            import {module}
            import time
            time.sleep(20)
    except Abandoned:
        print("saved")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("name", "status"), ENDS)
def test_what_can_be_left_undone_is_abandoned_but_for_an_import(name: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "slow_part.py").write_text(IMPORTED.format(name=name))
    program = WORKING.format(module="slow_part")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=15, cwd=tmp_path)
    ends = {"SIGTERM": (TERMINATED, b""), "SIGINT": (-signal.SIGINT, b"KeyboardInterrupt")}[name]
    assert (done.returncode, done.stdout, done.stderr.strip().splitlines()[-1:]) == (
        ends[0], b"saved\n", [ends[1]] if ends[1] else [],
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_came_before_is_heeded_where_work_could_be_left_undone(number: int) -> None:
    stop = Stop()
    stop(number)
    with pytest.raises(Abandoned), stop.at_once():
        pytest.fail("this was to be left undone")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        stop(number)  # a second one waits for nothing

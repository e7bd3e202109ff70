"""Signals are heard wherever they come."""

import subprocess
import sys
from pathlib import Path

import pytest

from pennyweight.core.stopping import INTERRUPTED, TERMINATED

# A signal comes while an object ends, where Python swallows what is raised.
PROGRAM = """
import signal, time
from pennyweight.core.stopping import heeding_signals

class Ending:
    def __del__(self):
        signal.raise_signal(signal.{name})
        time.sleep(0)

heeding_signals()
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
from pennyweight.core.stopping import heeding_signals

heeding_signals()
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

"""Signals are heard wherever they come."""

import signal
import subprocess
import sys

import pytest

from pennyweight.core.stopping import TERMINATED

# A signal comes while an object ends, where Python swallows what is raised.
PROGRAM = """
import signal, time
from pennyweight.core.stopping import heeding_termination

class Ending:
    def __del__(self):
        signal.raise_signal(signal.{name})
        time.sleep(0)

heeding_termination()
ending = Ending()
del ending
time.sleep(20)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", TERMINATED), ("SIGINT", -signal.SIGINT)])
def test_a_signal_that_python_swallows_comes_again(name: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(name=name)], capture_output=True, timeout=15)
    assert done.returncode == status
    assert b"ignored" not in done.stderr

"""The clock of the check counts work, and bounds waiting."""

import time
from types import SimpleNamespace

import pytest

from pennyweight.train import work_clock as module
from pennyweight.train.work_clock import work_clock


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time of the thread and of the wall, which a test sets."""
    at = SimpleNamespace(thread=5.0, wall=100.0)
    monkeypatch.setattr(module, "thread_time", lambda: at.thread)
    monkeypatch.setattr(module, "perf_counter", lambda: at.wall)
    return at


@pytest.mark.parametrize(
    ("worked", "passed", "patience", "counted"),
    [(4, 4, 3, 4), (2, 6, 3, 2), (1, 6, 3, 2), (0, 6, 3, 2), (1, 6, 1, 6)],
    ids=["quiet", "three times as slow", "six times as slow", "waiting", "no patience"],
)
def test_a_busy_machine_counts_as_far_as_the_patience(
    machine: SimpleNamespace, worked: float, passed: float, patience: float, counted: float
) -> None:
    clock = work_clock(patience)
    assert clock() == 0
    machine.thread += worked
    machine.wall += passed
    assert clock() == counted


def test_the_clock_runs() -> None:
    clock = work_clock(1)
    time.sleep(0.01)
    assert 0 < clock() <= clock()

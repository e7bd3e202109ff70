"""OpenMP threads spin on a quiet machine, sleep beside busy programs, and compute the same bits either way."""

import json
import os
import subprocess
import sys

import pytest

from pennyweight.core import busy_wait
from pennyweight.core.busy_wait import Sharing, describe_thread_waiting, run_delays, sharing_cores

PROGRAM = """
import json, resource, time
import torch
from pennyweight.core import busy_wait

torch.set_num_threads(2)
busy_wait.FIRST_S = 1000.0  # the test decides, not this machine's load
busy_wait.cores = lambda: 2
values = torch.rand(100_000, generator=torch.Generator().manual_seed(0))

def sleeps() -> tuple[int, float]:
    (values * 2).sum()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    total = sum(float((values * 2).sum()) for _ in range(100))
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before, total

with busy_wait.sharing_cores() as sharing:
    said, found = [sharing.yields], [sleeps()]
    sharing.heed(0.9)
    time.sleep(0.3)
    said.append(sharing.yields)
    found.append(sleeps())
    for _ in range(3):
        sharing.heed(0.01)
    time.sleep(0.3)
    said.append(sharing.yields)
    found.append(sleeps())
    share = sharing.share()
print(json.dumps({"said": said, "sleeps": [n for n, _ in found], "sums": [s for _, s in found], "share": share}))
"""

needs_linux = pytest.mark.skipif(not run_delays(), reason="this system does not say how long threads waited for a core")


@pytest.mark.slow
@needs_linux
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: threads never wait for each other")
def test_threads_sleep_only_while_cores_are_contended_and_compute_the_same() -> None:
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=mine)
    told = json.loads(done.stdout)
    assert told["said"] == [False, True, False]
    spinning, sleeping, again = told["sleeps"]
    assert sleeping > 100 > 0
    assert sleeping > 3 * max(spinning, again) or max(spinning, again) < 100
    assert len(set(told["sums"])) == 1
    assert 0 < told["share"] < 1


@pytest.mark.parametrize("setting", ["OMP_WAIT_POLICY=ACTIVE", "GOMP_SPINCOUNT=7"])
def test_a_users_own_setting_stays(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    for name in busy_wait.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(*setting.split("="))
    with sharing_cores() as sharing:
        assert sharing is None
        assert describe_thread_waiting() == {"decided_by": setting}


def test_one_thread_has_nobody_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in busy_wait.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with sharing_cores() as sharing:
        assert sharing is None
    assert describe_thread_waiting() == {"decided_by": "the OpenMP library"}


@needs_linux
def test_few_looks_do_not_make_it_waver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy_wait, "FIRST_S", 1000.0)
    sharing = Sharing({})
    try:
        looks = [0.2, 0.5, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.29, 0.31]
        found = []
        for waited in looks:
            sharing.heed(waited)
            found.append(sharing.yields)
        assert found == [False, True, True, True, True, True, True, False, False, True]
    finally:
        sharing.end()
    assert not sharing.yields


def test_time_slices_are_asked_for_without_changing_priority() -> None:
    if not hasattr(os, "sched_getscheduler"):
        assert busy_wait.ask_for_slices(busy_wait.SLICE_NS) == 0
        return
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    try:
        assert busy_wait.ask_for_slices(busy_wait.SLICE_NS) >= 0
        assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
    finally:
        busy_wait.ask_for_slices(0)

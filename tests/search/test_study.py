"""A study gives each trial to one process, and a dead process's trial to another."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from pennyweight.core.errors import InputError
from pennyweight.search import study as module
from pennyweight.search.study import Claim, Study, TakenOver
from pennyweight.search.worker import is_gone, this_worker


def taken(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def of(study: Study) -> dict[str, str]:
    return {trial.name: trial.state for trial in study.trials}


@pytest.mark.parametrize("place", ["trials.journal", "sqlite:///trials.db"])
def test_each_trial_is_given_once_and_keeps_its_facts(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = Study(place, "s"), Study(place, "s")
    one.add("a", size=32)
    other.add("a", size=32)  # both added what the other could not see
    one.add("b", size=64)
    first, second = taken(one.claim("ab")), taken(other.claim("ab"))
    assert (first.name, second.name) == ("a", "b")
    assert one.claim("ab") is None
    with first.held():
        first.keep(accuracy=0.5)
        first.finish(0.5)
    assert of(other) == {"a": "done", "b": "running"}
    assert other.trials[0].facts["accuracy"] == 0.5
    assert Study(place, "another").trials == []


def test_an_interrupted_trial_is_done_by_another_worker_and_a_refused_one_by_none(tmp_path: Path) -> None:
    study = Study(str(tmp_path / "trials.journal"), "s")
    study.add("a", size=32)
    claim = taken(study.claim("a"))
    with pytest.raises(KeyboardInterrupt), claim.held():
        raise KeyboardInterrupt
    again = taken(study.claim("a"))
    assert again.facts["size"] == 32
    with again.held():
        again.finish(error="no such width")
    assert study.claim("a") is None
    assert study.trials[0].error == "no such width"


def test_a_silent_worker_loses_its_trial_and_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_S", -1.0)
    study = Study(str(tmp_path / "trials.journal"), "s")
    study.add("a")
    silent = taken(study.claim("a"))
    with silent.held():
        assert taken(study.claim("a")).name == "a"
        with pytest.raises(TakenOver):
            silent.finish(0.5)
    assert of(study) == {"a": "running"}


def test_a_worker_that_ended_before_it_wrote_its_name_loses_its_trial_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNNAMED_S", -1.0)
    study = Study(str(tmp_path / "trials.journal"), "s")
    for name in "ab":
        study.add(name)
    nameless, named = taken(study.claim("a")), taken(study.claim("b"))
    with named.held():
        assert taken(study.claim("ab")).name == "a"
        assert study.claim("b") is None
    with pytest.raises(TakenOver), nameless.held():
        pass


def test_a_trial_that_ends_every_worker_is_left_alone(tmp_path: Path) -> None:
    study = Study(str(tmp_path / "trials.journal"), "s")
    study.add("a")
    for _ in range(module.MOST_TRIES):
        claim = taken(study.claim("a"))
        with pytest.raises(MemoryError), claim.held():
            raise MemoryError
    assert study.claim("a") is None
    assert of(study) == {"a": "lost"}


def test_a_third_goes_on(tmp_path: Path) -> None:
    study = Study(str(tmp_path / "trials.journal"), "s")
    going = []
    for name, value in {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.8, "e": 0.3, "f": 0.95}.items():
        study.add(name)
        claim = taken(study.claim(name))
        with claim.held():
            if claim.goes_on(1, value):
                going.append(name)
            claim.finish(value)
    assert going == ["a", "f"]


def test_a_process_that_ended_is_gone() -> None:
    assert not is_gone(this_worker())
    assert not is_gone({**this_worker(), "machine": "another"})
    child = subprocess.Popen(["sleep", "60"])
    worker = {**this_worker(), "pid": child.pid, "born": "1"}
    child.kill()
    child.wait()
    assert is_gone(worker)


WORKER = """
import sys, time
from pennyweight.search.study import Study
place, out = sys.argv[1:]
names = [str(number) for number in range(12)]
study = Study(place, "s")
if not study.trials:
    for name in names:
        study.add(name)
while {trial.state for trial in study.trials} != {"done"}:
    claim = study.claim(names)
    if claim is None:
        time.sleep(0.05)
        continue
    with claim.held():
        print("begun", claim.name, file=open(out, "a"))
        time.sleep(0.1)
        claim.finish(1.0)
        print("done", claim.name, file=open(out, "a"))
"""


def require_nothing_lost_or_doubled(place: str, folder: Path) -> None:
    """Start three workers, kill the one that began first, and compare what they did with the study."""
    logs = [folder / f"{number}.log" for number in range(3)]
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, place, str(log)]) for log in logs]
    while not any(begun := [log.exists() for log in logs]):
        time.sleep(0.005)
    workers[begun.index(True)].kill()
    assert sorted(worker.wait(120) for worker in workers) == [-signal.SIGKILL, 0, 0]
    lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
    done = Counter(line.removeprefix("done ") for line in lines if line.startswith("done"))
    trials = Study(place, "s").trials
    assert sorted(trial.name for trial in trials) == sorted(map(str, range(12)))
    assert {trial.state for trial in trials} == {"done"}
    assert max(done.values()) == 1
    assert len(done) >= 11  # the killed one may have ended between its answer and its line


@pytest.mark.slow
def test_three_workers_of_which_one_is_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    require_nothing_lost_or_doubled(str(tmp_path / "trials.journal"), tmp_path)


@pytest.fixture
def postgresql() -> Iterator[str]:
    """Address of a PostgreSQL server that the test starts; the server does not run as root."""
    pytest.importorskip("psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port, folder, user = taken.getsockname()[1], Path(name), {}
        taken.close()
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        how: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, **user}
        (folder / "password").write_text("secret", encoding="ascii")
        access = ["-A", "scram-sha-256", "-U", "me", "--pwfile", folder / "password"]
        subprocess.run([found[-1].with_name("initdb"), "-D", folder / "data", *access], **how)
        serve = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        control = [found[-1], "-D", folder / "data", "-w", "-m", "fast"]
        subprocess.run([*control, "-o", serve, "-l", folder / "log", "start"], **how)
        yield f"postgresql+psycopg://me:secret@127.0.0.1:{port}/postgres"
        subprocess.run([*control, "stop"], **how)


@pytest.mark.slow
def test_workers_that_share_postgresql_lose_and_double_nothing(postgresql: str, tmp_path: Path) -> None:
    require_nothing_lost_or_doubled(postgresql, tmp_path)
    wrong = postgresql.replace(":secret@", ":another-secret@")
    with pytest.raises(InputError, match='password authentication failed for user "me"') as refused:
        Study(wrong, "s")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)

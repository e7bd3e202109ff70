"""The meeting of ranks: who is missing is one line, and so is what is wrong with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pennyweight.core.errors import InputError
from pennyweight.train.rendezvous import Meeting

ALL = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
PROGRAM = """
import sys
from pennyweight.core.errors import PennyweightError
from pennyweight.train import Ranks, rendezvous
rendezvous.QUIET_S = 0.1
try:
    ranks = Ranks(float(sys.argv[1]))
    print(ranks.number, ranks.gather(ranks.number), list(ranks.share("abcde")), flush=True)
    ranks.end_others()
except PennyweightError as error:
    sys.exit(f"error: {error}")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(minutes: float, **variables: object) -> subprocess.Popen[str]:
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(minutes)],
        env={**environment, "CUDA_VISIBLE_DEVICES": "", "LOCAL_RANK": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MASTER_ADDR": ""}, "the variable MASTER_ADDR of distributed training is missing; start with torchrun"),
        ({"WORLD_SIZE": ""}, "the variable WORLD_SIZE of distributed training is missing"),
        ({"MASTER_PORT": "http"}, "the variable MASTER_PORT of distributed training is 'http'; it is a whole number"),
        ({"RANK": "2"}, "there is no rank 2 of 2; RANK is 0 to 1"),
    ],
)
def test_a_variable_that_is_missing_or_wrong_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Meeting.of(ALL | variables)


def test_a_single_process_meets_nobody() -> None:
    assert Meeting.of({}) is None
    assert Meeting.of({"WORLD_SIZE": "1"}) is None
    assert Meeting.of({"RANK": "0"}) is None
    found = Meeting.of(ALL)
    assert found is not None
    assert (found.rank, found.world, found.place, found.served) == (0, 2, "127.0.0.1:29500", False)


@pytest.mark.slow
def test_ranks_without_torchrun_meet_and_share() -> None:
    place = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    done = [each.communicate(timeout=200) for each in [start(3, RANK=rank, **place) for rank in (1, 0)]]
    assert sorted(out.strip() for out, _ in done) == ["0 [0, 1] ['a', 'b']", "1 [0, 1] ['c', 'd', 'e']"]


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "who"), [(0, "1 of 2"), (1, "rank 0")])
def test_a_rank_that_never_comes_is_two_lines(rank: int, who: str) -> None:
    place = f"127.0.0.1:{(port := free_port())}"
    waiting = start(0.02, RANK=rank, WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    err = waiting.communicate(timeout=200)[1].splitlines()
    assert waiting.returncode == 1
    assert err[0] == f"waiting for {who} at {place}"
    assert err[1].startswith(f"error: {who}{' ranks' if rank == 0 else ''} did not come to {place} within 1.2 s; ")
    assert len(err) == 2


@pytest.mark.slow
def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = start(1, RANK=0, WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        err = refused.communicate(timeout=200)[1].splitlines()
    assert err == [f"error: port {port} is in use; name another one in MASTER_PORT, on every rank"]


@pytest.mark.slow
def test_an_unknown_host_is_one_line() -> None:
    lost = start(1, RANK=1, WORLD_SIZE=2, MASTER_ADDR="no-such-host.invalid", MASTER_PORT=free_port())
    err = lost.communicate(timeout=200)[1].splitlines()
    assert len(err) == 1
    assert err[0].startswith("error: there is no host 'no-such-host.invalid', which MASTER_ADDR names")

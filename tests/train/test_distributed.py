"""Two ranks train as one does; when one dies the other ends, and the training goes on later."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pennyweight.train import Checkpoints, Ranks
from pennyweight.train.distributed import PATIENCE_S

PROGRAM = Path(__file__).with_name("distributed_program.py")
MEASURING = Path(__file__).with_name("measuring_program.py")
GUARD_S = 200
"""Less than a rank waits for one that it has not heard of."""


def launch(
    out: Path, ranks: int, dying: int = -1, stopped: int = -1, program: Path = PROGRAM
) -> "subprocess.CompletedProcess[str]":
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [sys.executable, *together, program, out, str(dying), str(stopped)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_S,
    )


@pytest.fixture(scope="session")
def of_two(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """What two ranks wrote that nobody disturbed."""

    def train(folder: Path) -> None:
        done = launch(folder / "two.json", 2)
        assert done.returncode == 0, done.stderr

    return made_once("two-ranks", train) / "two.json"


def test_every_rank_takes_as_many_turns() -> None:
    turns = []
    for number in range(3):
        rank = Ranks()
        rank.count, rank.number = 3, number
        turns.append(list(rank.turns(iter(range(7)))))
    assert turns == [[0, 3, 6], [1, 4, None], [2, 5, None]]


@pytest.mark.slow
def test_a_signal_to_one_rank_ends_the_validation_of_both(tmp_path: Path) -> None:
    done = launch(tmp_path / "curve.json", 2, stopped=1)
    assert done.returncode != 0
    assert [int((tmp_path / f"curve.{rank}").read_text()) for rank in (0, 1)] == [4, 4]  # of 42 batches
    assert Checkpoints(tmp_path / "curve").latest() is not None


@pytest.mark.slow
def test_ranks_measure_alike_where_one_cannot_compile_and_one_alone_remembers(tmp_path: Path) -> None:
    done = launch(tmp_path / "found.json", 2, program=MEASURING)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        compiling, plain, again = json.loads((tmp_path / f"found.{rank}").read_text())
        assert compiling["untried"] == "compiling fails here (no Python.h)"
        assert not any(way["compile"] for way in compiling["ways"])
        assert (plain["untried"], plain["remembered"], again["remembered"]) == ("", False, True)
        assert len(again["ways"]) >= 3


@pytest.mark.slow
def test_two_ranks_follow_the_loss_curve_of_one(of_two: Path, tmp_path: Path) -> None:
    done = launch(tmp_path / "one.json", 1)
    assert done.returncode == 0, done.stderr
    one, two = (json.loads(path.read_text()) for path in (tmp_path / "one.json", of_two))
    assert len(one["losses"]) == 5 * 6
    assert one["losses"] == pytest.approx(two["losses"], rel=0, abs=1e-9)
    assert one["val"] == pytest.approx(two["val"], rel=0, abs=1e-9)
    assert one["val"][-1] < 0.7 * one["val"][0]


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_other_and_the_training_goes_on(of_two: Path, tmp_path: Path) -> None:
    assert GUARD_S < PATIENCE_S
    broken = launch(tmp_path / "parts.json", 2, dying=1)
    assert broken.returncode != 0
    assert not (tmp_path / "parts.json").exists()
    resumed = launch(tmp_path / "parts.json", 2)
    assert resumed.returncode == 0, resumed.stderr
    whole, parts = (json.loads(path.read_text()) for path in (of_two, tmp_path / "parts.json"))
    assert len(parts["losses"]) < len(whole["losses"])
    assert parts["losses"] == pytest.approx(whole["losses"][-len(parts["losses"]) :], rel=0, abs=1e-9)

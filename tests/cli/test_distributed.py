"""`fit` under torchrun: a rank that is killed ends the other with one line, and the same command goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pennyweight as pw
from pennyweight.train.distributed import PATIENCE_S

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks for its ranks in /proc")]

GUARD_S = 200
"""Less than a rank waits for one that it has not heard of."""


def launch(pictures: Path, out: Path) -> "subprocess.Popen[str]":
    together = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pennyweight")
    small = ("--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "12", "--batch", "8")
    return subprocess.Popen(
        [sys.executable, *together, "fit", str(pictures), *small, "--out", str(out), "--resume"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rank(number: int, of: "subprocess.Popen[str]") -> int:
    """The process that is this rank."""
    children = Path(f"/proc/{of.pid}/task/{of.pid}/children").read_text().split()
    (found,) = (int(child) for child in children if f"\0RANK={number}\0" in Path(f"/proc/{child}/environ").read_text())
    return found


@pytest.mark.parametrize("dying", [0, 1])
def test_a_rank_that_is_killed_ends_the_other_with_one_line(dying: int, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    broken = launch(pictures, out)
    assert broken.stderr is not None
    while not (line := broken.stderr.readline()).startswith("epoch  2/12"):
        assert line
    os.kill(rank(dying, broken), signal.SIGKILL)
    assert GUARD_S < PATIENCE_S
    err = broken.communicate(timeout=GUARD_S)[1]
    assert broken.returncode != 0
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    (said,) = lines
    assert said.startswith(f"error: rank {1 - dying} lost the connection to another rank (")
    assert said.endswith("; run the same command with --resume to continue")
    if dying == 0:
        return  # which rank died makes no difference to who resumes
    resumed = launch(pictures, out)
    err = resumed.communicate(timeout=GUARD_S)[1]
    assert resumed.returncode == 0, err
    assert ": resumes" in err
    assert "epoch  1/12" not in err
    assert pw.Run(out).record["status"] == "complete"

"""Killed and terminated at random moments, `fit --resume` ends with the bits of a run that was left alone.

TORTURE=20 makes it twenty times as long (`make torture`).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from safetensors.torch import load_file

import pennyweight as pw
from pennyweight.core.stopping import TERMINATED
from pennyweight.train import Checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")]

TIMES = int(os.environ.get("TORTURE", "1"))
KILLS, TERMINATIONS = 10 * TIMES, 5 * TIMES
WITHIN_S = 10.0


# `fit`, as the command line runs it, in a process of its own that has torch loaded already.
COMMAND = """
import os, sys, torch
from pennyweight.__main__ import run

torch.set_num_threads(1)
sys.stdout = sys.stderr = open({log!r}, "a", encoding="utf-8")
small = ["--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "5", "--batch", "4", "--set", "ema=0.9"]
more = ["--set", "mixup=0.2", "--save-every", "0.002", "--out", {out!r}, "--resume"]
sys.argv[1:] = ["fit", {source!r}, *small, *more]
status = run()
sys.stdout.flush()
os._exit(status)
"""


@pytest.fixture(scope="module")
def start() -> Callable[[Path, Path], BaseProcess]:
    """`start(source, out)`: the command, running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pennyweight.verbs.fit", "pennyweight.cli"])

    def begin(source: Path, out: Path) -> BaseProcess:
        code = COMMAND.format(source=str(source), out=str(out), log=str(out.with_suffix(".log")))
        process = context.Process(target=exec, args=(code, {}))
        process.start()
        return process

    return begin


@pytest.fixture(scope="module")
def whole(
    start: Callable[[Path, Path], BaseProcess], pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pw.Run, float]:
    """A run that was left alone, and its seconds."""
    out = tmp_path_factory.mktemp("whole") / "run"
    seconds = 0.0
    for folder in (out.with_name("first"), out):  # the first also starts the server that processes come from
        started = time.monotonic()
        process = start(pictures, folder)
        process.join(120)
        seconds = time.monotonic() - started
        assert process.exitcode == 0, folder.with_suffix(".log").read_text()
    return pw.Run(out), seconds


def same(run: pw.Run, other: pw.Run) -> bool:
    one, two = load_file(run.weights_path), load_file(other.weights_path)
    assert one.keys() == two.keys()
    return (
        all((one[key] == two[key]).all() for key in one)
        and run.evaluation_path.read_bytes() == other.evaluation_path.read_bytes()
    )


def step_of(folder: Path) -> int:
    kept = Checkpoints(folder / "checkpoints").latest()
    return -1 if kept is None else kept["step"]


def test_killed_at_random_moments(
    start: Callable[[Path, Path], BaseProcess], whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path
) -> None:
    draw, (expected, seconds) = random.Random(time.time_ns()), whole
    kills = finished = 0
    while kills < KILLS:
        folder, before = tmp_path / f"run-{finished}", -1
        while True:
            process = start(pictures, folder)
            process.join(draw.uniform(0.05, seconds))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            after = step_of(folder)
            assert after >= before  # nothing that was kept is lost
            before = after
        assert process.exitcode == 0, folder.with_suffix(".log").read_text()
        assert same(pw.Run(folder), expected)
        finished += 1


def test_terminated_at_random_moments(
    start: Callable[[Path, Path], BaseProcess], whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path
) -> None:
    draw, (expected, seconds) = random.Random(time.time_ns()), whole
    terminations = finished = 0
    while terminations < TERMINATIONS:
        folder = tmp_path / f"run-{finished}"
        while True:
            process = start(pictures, folder)
            process.join(draw.uniform(0.3, seconds))
            if process.exitcode is None:
                process.terminate()
                asked = time.monotonic()
                process.join(60)
                assert time.monotonic() - asked < WITHIN_S
                terminations += 1
            log = folder.with_suffix(".log").read_text() if folder.with_suffix(".log").exists() else ""
            assert process.exitcode in (0, TERMINATED, -15), log  # -15: before the command had begun
            assert "Traceback" not in log
            if process.exitcode == 0:
                break
        assert same(pw.Run(folder), expected)
        finished += 1

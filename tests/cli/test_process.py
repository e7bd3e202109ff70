"""The command as a process: its statuses, its streams, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

import pennyweight as pw
from pennyweight.core.signals import INTERRUPTED, TERMINATED

Command = Callable[..., "subprocess.Popen[str]"]


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=600)  # a guard against hanging, also on a busy machine
    finally:
        process.kill()  # without effect on a process that has ended
    return process.returncode, out, err


def test_the_version(command: Command) -> None:
    assert finish(command("--version")) == (0, f"pennyweight {version('pennyweight')}\n", "")


def test_the_installed_command_is_the_same() -> None:
    script = Path(sys.executable).with_name("pennyweight")
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"pennyweight {version('pennyweight')}\n"


def test_statuses_and_plain_streams(command: Command, bundle_file: Path, pictures: Path, tmp_path: Path) -> None:
    good, gone = pictures / "dark" / "01.png", tmp_path / "gone.png"
    running = [
        command("predict", bundle_file, good, "--json"),
        command("predict", bundle_file, pictures / "dark", gone),
        command("predict", bundle_file, gone, "--debug"),
        command("predict"),
    ]
    (right, out, err), (partly, mixed, named), (wrong, nothing, line), (usage, _, told) = map(finish, running)
    assert (right, partly, wrong, usage) == (0, 1, 1, 2)
    assert json.loads(out)["predictions"][0]["label"] == "dark"
    assert err == nothing == ""
    assert "\x1b" not in mixed + named  # plain where nobody watches
    assert f"no picture at {gone}" in " ".join(mixed.split())
    assert [line.partition(":")[0] for line in named.splitlines()] == ["note"]
    assert line.splitlines()[-1] == f"error: no picture at {gone}"
    (told,) = told.splitlines()
    assert told.startswith("error: RUN_OR_BUNDLE_OR_NAME is missing: pennyweight predict ")


@pytest.mark.parametrize("arguments", [("--help",), pytest.param(("names",), marks=pytest.mark.slow)])
def test_a_reader_that_goes_away_is_no_traceback(command: Command, arguments: tuple[str, ...]) -> None:
    process = command(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=300) == 1
    assert err == ""


def heed_interrupts() -> None:
    """A shell starts background jobs deaf to Ctrl-C, and a test may run in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 600  # also on a busy machine
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_ctrl_c_ends_training_with_one_line_and_keeps_the_best_weights(
    command: Command, pictures: Path, tmp_path: Path
) -> None:
    small = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16", "--epochs", "100000")
    process = command("fit", pictures, *small, "--out", "run", cwd=tmp_path, preexec_fn=heed_interrupts)
    try:
        wait_for(tmp_path / "run" / "metrics.jsonl", process)
        process.send_signal(signal.SIGINT)
        status, out, err = finish(process)
    finally:
        process.kill()
    assert (status, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "error: interrupted"
    assert [line for line in err.splitlines() if line.startswith("error")] == ["error: interrupted"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "run.json",
        "metrics.jsonl",
        "seen.npy",
        "weights.safetensors",
        "checkpoints",
    }
    run = pw.Run(tmp_path / "run")
    assert run.record["status"] == "training"
    assert pw.load(run).predict(pictures / "dark" / "01.png")[0].label in ("bright", "dark")
    assert json.loads(run.metrics_path.read_text().splitlines()[0])["epoch"] == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_terminated_after_the_last_epoch_it_says_how_to_go_on(command: Command, pictures: Path, tmp_path: Path) -> None:
    shallow = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16")
    small = (*shallow, "--epochs", "2", "--out", "run", "--resume")
    process = command("fit", pictures, *small, cwd=tmp_path)
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("epoch 2/2"):
        assert line
    process.terminate()
    status, out, err = finish(process)
    assert (status, out) == (143, "")
    assert err.splitlines()[-2:] == [
        "saved in run; the same command with --resume (or resume=True) continues it",
        "error: terminated",
    ]
    assert finish(command("fit", pictures, *small, cwd=tmp_path))[0] == 0
    assert pw.Run(tmp_path / "run").record["status"] == "complete"


INTERRUPTED_LINE = "error: interrupted"
IMPORTED = "import time:"
"""The opening of the line that Python prints for each module as soon as it is imported."""


def interrupt_when(imported: str, arguments: tuple[object, ...], err: Path) -> tuple[int, str, list[str]]:
    """Send Ctrl-C once the command has imported a module; return its status, its output and its lines on standard
    error. Its standard input stays open, so that a command which reads a list there cannot end before the signal."""
    with err.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "pennyweight", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=heed_interrupts,
        )
    guard = time.monotonic() + 100
    try:
        while not any(line.split()[-1:] == [imported] for line in err.read_text().splitlines(keepends=True)[:-1]):
            assert process.poll() is None, err.read_text()
            assert time.monotonic() < guard
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=300)
    finally:
        process.kill()
        out, _ = process.communicate()
    return status, out, [line for line in err.read_text().splitlines() if not line.startswith(IMPORTED)]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("imported", "options"),
    [
        *((module, ()) for module in ("pennyweight.cli", "numpy", "PIL.Image", "onnxruntime")),
        ("typer", ("--threads", 1)),  # a plain `predict` needs no Typer
    ],
)
def test_ctrl_c_at_any_moment_of_loading_is_an_interruption(
    imported: str, options: tuple[object, ...], bundle_file: Path, tmp_path: Path
) -> None:
    status, out, err = interrupt_when(imported, ("predict", bundle_file, "-", *options), tmp_path / "err")
    assert (status, out) == (130, "")
    assert err in ([INTERRUPTED_LINE], [])  # without a line where imports took longer than a signal waits for them


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("imported", ["encodings", "site", "pennyweight.core.signals"])
def test_ctrl_c_before_the_first_line_of_the_command_ends_it(imported: str, bundle_file: Path, tmp_path: Path) -> None:
    """Python itself ends by the signal, or with its own traceback and status 1 where it was finding its modules."""
    status, out, err = interrupt_when(imported, ("predict", bundle_file, "-"), tmp_path / "err")
    assert out == ""
    if status == 130:  # the signal came later
        assert err == [INTERRUPTED_LINE]
    else:
        assert status in (1, -signal.SIGINT)
        assert not any("pennyweight/cli" in line for line in err)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("later_ms", [0, 2, 20, 80])
def test_ctrl_c_behind_the_last_answer_leaves_a_finished_command_or_an_interruption(
    command: Command, bundle_file: Path, pictures: Path, later_ms: int
) -> None:
    """The signal may find the command at work, ended, or being taken down by Python, which then ends by the signal."""
    process = command("predict", bundle_file, pictures, "--jsonl", preexec_fn=heed_interrupts)
    assert process.stdout is not None
    answers = [process.stdout.readline() for _ in range(48)]
    assert all("label" in json.loads(answer) for answer in answers)
    time.sleep(later_ms / 1000)
    process.send_signal(signal.SIGINT)
    status, more, err = finish(process)
    note, error = (
        [line for line in err.splitlines() if line.startswith(opening)]
        for opening in ("note: 48 pictures answered in ", INTERRUPTED_LINE)
    )
    assert more == ""
    assert err.splitlines() == [*note, *error]
    assert status in (0, 130, -signal.SIGINT)
    assert (len(note), error) in ((1, []), (0, [INTERRUPTED_LINE]), (1, [INTERRUPTED_LINE]))
    assert status == 130 or not error


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to so much memory")
def test_accumulation_holds_a_batch_that_memory_does_not(
    command: Command, tmp_path: Path, seen_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(seen_digits))

    def hold() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))

    # Few channels of a large input fill memory with little arithmetic.
    few = ["--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--stem", "cifar", "--input", "160"]
    arguments = ["fit", "digits", *few, "--batch", "512", "--epochs", "1"]
    out = tmp_path / "run"

    def fit(parts: int) -> tuple[int, str, str]:
        return finish(command(*arguments, "--set", f"accumulate={parts}", "--out", out, preexec_fn=hold))

    status, _, said = fit(1)
    assert status == 1
    assert "out of memory: a step of 402 pictures in 1 part does not fit; --set accumulate=2" in said.splitlines()[-1]
    assert not out.exists()
    status, _, said = fit(8)
    assert status == 0, said
    assert pw.Run(out).evaluation["images"] == 320


@pytest.mark.parametrize(("status", "said"), [(TERMINATED, ["done"]), (INTERRUPTED, ["done"]), (1, ["done", "late"])])
def test_after_a_signal_nothing_is_taken_apart(status: int, said: list[str]) -> None:
    program = f"""
import atexit, sys
from pennyweight import cli
from pennyweight.__main__ import run

atexit.register(print, "late")
cli.main = lambda: print("done") or {status}
sys.exit(run())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()) == (status, said), ended.stderr

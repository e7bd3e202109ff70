"""Several `fit` at the same time: each has a run of its own, or one line that says who has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight.core.errors import RunError
from pennyweight.core.locks import holding
from pennyweight.train import Ranks
from pennyweight.verbs.fitting.run_folder import claiming_run_folder, claiming_run_folders

Fit = Callable[..., pw.Run]
ROUNDS = int(os.environ.get("PENNYWEIGHT_ROUNDS", "1"))
RECORD: dict[str, Any] = {
    "status": "training", "asked": {}, "model": {"name": "resnet_9"}, "preprocess": {},
    "data": {"source": "pets", "address": "pets", "labels": ["cat", "dog"], "fingerprint": "sha256:0"},
}  # fmt: skip
"""The fields without which run.json is none."""
QUICK = ("--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "1", "--batch", "16", "--no-preflight")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 24 small pictures, as arrays."""
    draw = np.random.default_rng(0)
    labels = np.arange(48) % 2
    images = np.clip(draw.normal(90 + 70 * labels[:, None, None, None], 60, (48, 16, 16, 3)), 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("source") / "two.npz"
    np.savez(path, images=images, labels=labels)
    return path


TOGETHER = """
import json, os, sys
from pathlib import Path
import pennyweight.verbs.fit
from pennyweight.cli import main

folder, ready, go = Path(sys.argv[1]), *os.pipe()
children = []
for number, command in enumerate(json.loads(sys.argv[2])):
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(go)
            os.chdir(folder)
            with Path(folder, f"err-{number}").open("w") as err, Path(os.devnull).open("w") as out:
                sys.stderr, sys.stdout = err, out
                os.read(ready, 1)  # ends when the parent closes its side
                status = main(command)
        finally:
            os._exit(status)
    children.append(child)
os.close(ready)
os.close(go)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""
"""A process of its own, because torch forbids forks where a gradient was computed on another device."""


def together(commands: Sequence[Sequence[str]], folder: Path) -> list[tuple[int, str]]:
    """Run the commands in processes that begin at the same moment in `folder`; status and standard error of each."""
    ended = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(folder), json.dumps(commands)], check=True, capture_output=True, text=True
    )
    return [(status, (folder / f"err-{number}").read_text()) for number, status in enumerate(json.loads(ended.stdout))]


def runs_in(folder: Path) -> dict[int, tuple[str, dict[str, Any]]]:
    """By seed, of all runs: the folder's name and its evaluation."""
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for path in folder.glob("runs/*"):
        run = pw.Run(path)
        assert run.record["status"] == "complete"
        found[run.record["seed"]] = (path.name, run.evaluation)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="makes its processes by fork")
@pytest.mark.parametrize("count", [2, 5])
def test_simultaneous_fits_have_a_run_each_with_the_score_of_their_seed(
    source: Path, tmp_path: Path, count: int
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for seed in range(count):
        assert together([["fit", str(source), *QUICK, "--seed", str(seed)]], alone)[0][0] == 0
    expected = {seed: evaluation for seed, (_, evaluation) in runs_in(alone).items()}
    for number in range(ROUNDS):
        folder = tmp_path / f"round-{number}"
        folder.mkdir()
        ended = together([["fit", str(source), *QUICK, "--seed", str(seed)] for seed in range(count)], folder)
        assert [status for status, _ in ended] == [0] * count, ended
        found = runs_in(folder)
        assert {seed: evaluation for seed, (_, evaluation) in found.items()} == expected
        assert {name for name, _ in found.values()} == {f"two-mobilenet_v1_x0_25-{n + 1}" for n in range(count)}
        assert list(folder.glob("runs/*/.*")) == []
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="makes its processes by fork")
@pytest.mark.parametrize(
    ("count", "options"),
    [(2, ("--out", "one")), (5, ("--out", "one")), (5, ("--out", "one", "--resume"))],
    ids=["2 out", "5 out", "5 resume"],
)
def test_of_simultaneous_fits_with_one_folder_one_trains_and_the_others_say_so(
    source: Path, tmp_path: Path, count: int, options: tuple[str, ...]
) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / f"round-{number}"
        folder.mkdir()
        ended = together([["fit", str(source), *QUICK, *options]] * count, folder)
        run = pw.Run(folder / "one")
        assert run.record["status"] == "complete"
        assert run.evaluation["images"] > 0
        trained = [err for status, err in ended if status == 0 and "is complete; nothing was changed" not in err]
        assert len(trained) == 1, ended
        for status, err in ended:
            if status:
                (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
                assert "one is being written by" in line or "--out one exists already" in line, line
        shutil.rmtree(folder)


@pytest.mark.slow
def test_resuming_a_run_that_another_process_trains_says_who_does(
    fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None]
) -> None:
    stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, out=tmp_path / "run")
    stop_at(10**9)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with holding(tmp_path / "run"):
        with pytest.raises(
            RunError, match=rf"run is being written by process {os.getpid()} on .*: wait until that ends"
        ):
            fit_small(shapes, out=tmp_path / "run", resume=True)
        assert before == {path: path.read_bytes() for path in before}
    assert fit_small(shapes, out=tmp_path / "run", resume=True).record["status"] == "complete"


def take(out: Path | None, *, resume: bool = False, asked: dict[str, Any] | None = None) -> Any:
    return claiming_run_folder(out, "pets", resume=resume, asked=asked or {}, ranks=Ranks())


def test_two_threads_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    got: list[Path] = []
    with ExitStack() as stack:
        threads = [threading.Thread(target=lambda: got.append(stack.enter_context(take(None))[0])) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == sorted(Path(f"runs/pets-{n + 1}") for n in range(16))


@pytest.mark.parametrize("kind", ["folder", "file", "broken link", "link", "run"])
def test_an_out_that_exists_is_one_line(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "here"
    (tmp_path / "real").mkdir()
    make: dict[str, Callable[[], Any]] = {
        "folder": out.mkdir,
        "file": out.touch,
        "broken link": lambda: out.symlink_to(tmp_path / "gone"),
        "link": lambda: out.symlink_to(tmp_path / "real"),
        "run": lambda: (out.mkdir(), (out / "run.json").write_text("{}")),
    }
    make[kind]()
    with pytest.raises(RunError, match=r"here exists already; nothing is overwritten"), take(out):
        pass
    assert out.exists() or out.is_symlink()


def test_a_folder_that_a_killed_fit_left_empty_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "run"
    child = os.fork()
    if not child:
        with take(out):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [path.name for path in out.iterdir()] == [".lock"]
    with take(out) as (folder, record):
        assert (folder, record) == (out, None)
        with pytest.raises(RunError, match="is being written by process"), take(out):
            pass


def fail(out: Path, *names: str, resume: bool = False) -> None:
    """Take the folder, write files of these names to it, and fail."""
    with take(out, resume=resume) as (folder, _):
        for name in names:
            (folder / name).touch()
        raise ZeroDivisionError


def test_what_fails_takes_away_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "deep" / "run", "seen.npy", "run.json", "metrics.jsonl")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "run", "seen.npy", "notes.txt")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "mine", resume=True)
    assert (tmp_path / "mine").is_dir()


def test_a_resumed_run_that_fails_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


OTHERS = {
    "of the user": [".gitignore", ".notes.tmp", ".DS_Store", "._run.json", ".run.tmp.json", ".a.12.xyz.tmp.json"],
    "left over": [".run.4711.0123abcd.tmp.json", ".weights.1.00000000.tmp.safetensors"],
}


def test_a_resume_clears_left_overs_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".run.1.0123abcd.tmp.json").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".run.2.0123abcd.tmp.json").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for name in (*OTHERS["of the user"], *OTHERS["left over"]):
        (tmp_path / name).touch()
    before = {path.name for path in tmp_path.iterdir()}
    with take(tmp_path, resume=True):
        pass
    assert before - {path.name for path in tmp_path.iterdir()} == set(OTHERS["left over"])


def test_a_folder_of_seeds_is_held_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        claiming_run_folders(None, "pets-seeds", resume=False) as first,
        claiming_run_folders(None, "pets-seeds", resume=False) as second,
    ):
        assert (first, second) == (Path("runs/pets-seeds-1"), Path("runs/pets-seeds-2"))
        with pytest.raises(RunError, match="is being written by"), claiming_run_folders(first, "", resume=True):
            pass
    assert not Path("runs").exists()  # nothing came of them

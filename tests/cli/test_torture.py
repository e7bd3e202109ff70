"""Killed and terminated, at random moments and at chosen ones, `fit --resume` ends with the bits of a run left alone.

TORTURE=20 makes the random ones twenty times as many (`make torture`).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from safetensors.torch import load_file

import pennyweight as pw
from pennyweight.core.signals import TERMINATED
from pennyweight.train import Checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")]

TIMES = int(os.environ.get("TORTURE", "1"))
KILLS, TERMINATIONS = 6 * TIMES, 3 * TIMES


# The command line, in a process of its own that has torch loaded already.
COMMAND = """
import os, sys, torch
from pennyweight.__main__ import run

torch.set_num_threads(1)
sys.stdout = sys.stderr = open({log!r}, "a", encoding="utf-8")
{before}
sys.argv[1:] = {arguments!r}
status = run()
sys.stdout.flush()
os._exit(status)
"""
SHALLOW = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1], [64, 1, 2]]", "--input", "16")
STEPS = ("--epochs", "5", "--batch", "4")
USUAL = (*STEPS, "--set", "ema=0.9", "--set", "mixup=0.2")

Start = Callable[..., BaseProcess]


@pytest.fixture(scope="module")
def start() -> Start:
    """`start(source, out, *options, before=…)`: `fit`, or another `verb`, running after the code of `before`."""
    context = multiprocessing.get_context("forkserver")
    # All that a training and an export import late too, so that a process is at its work at once.
    late = ("accelerate", "sklearn.ensemble", "torch._inductor.config", "torchvision.transforms.v2")
    late += ("torch.export._trace", "onnxscript.function_libs.torch_lib.ops")
    context.set_forkserver_preload(["pennyweight.verbs.fit", "pennyweight.verbs.export", "pennyweight.cli", *late])

    def begin(source: Path, out: Path, *options: str, before: str = "", verb: tuple[str, ...] = ()) -> BaseProcess:
        saving = ("--save-every", "0.002", "--resume", "--out", str(out))
        fit = ("fit", str(source), *SHALLOW, *(options or USUAL), *saving)
        arguments = list(verb or fit)
        code = COMMAND.format(arguments=arguments, log=str(out.with_suffix(".log")), before=before)
        process = context.Process(target=exec, args=(code, {}))
        process.start()
        return process

    return begin


@pytest.fixture(scope="module")
def whole(start: Start, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pw.Run, float]:
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


@pytest.fixture(scope="module")
def left_alone(
    start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[tuple[str, ...]], pw.Run]:
    """`left_alone(options)`: a run with these options that was left alone."""
    runs = {USUAL: whole[0]}

    def run(options: tuple[str, ...]) -> pw.Run:
        if options not in runs:
            folder = tmp_path_factory.mktemp("alone") / "run"
            process = start(pictures, folder, *options)
            process.join(300)
            assert process.exitcode == 0, folder.with_suffix(".log").read_text()
            runs[options] = pw.Run(folder)
        return runs[options]

    return run


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


def test_killed_at_random_moments(start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path) -> None:
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
    start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path
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
                process.join(300)
                terminations += 1
            log = folder.with_suffix(".log").read_text() if folder.with_suffix(".log").exists() else ""
            assert process.exitcode in (0, TERMINATED, -15), log  # -15: before the command had begun
            assert "Traceback" not in log
            if process.exitcode == 0:
                break
        assert same(pw.Run(folder), expected)
        finished += 1


# Where saving can be cut, from the first byte of a state to the last file of an old one.
HERE = """
import signal, torch
from pathlib import Path
from pennyweight.train import checkpoint

times = 0

def here(first=lambda: None):
    global times
    times += 1
    if times == {time}:
        first()
        os.kill(os.getpid(), signal.SIGKILL)
"""
POINTS = {
    "amid a state": """
save = torch.save
def saved(state, file):
    save(state, file)
    here(lambda: (file.flush(), os.truncate(file.name, file.tell() // 2)))
torch.save = saved
""",
    "before a state has its name": """
replace = Path.replace
def replaced(path, target):
    if Path(target).suffix == ".pt":
        here()
    return replace(path, target)
Path.replace = replaced
""",
    "before its checksum": """
write = checkpoint.write_text
def written(path, text):
    here()
    write(path, text)
checkpoint.write_text = written
""",
    "after its checksum": """
write = checkpoint.write_text
def written(path, text):
    write(path, text)
    here()
checkpoint.write_text = written
""",
    "amid an old one's end": """
unlink = Path.unlink
def unlinked(path, **options):
    unlink(path, **options)
    if path.suffix == ".sha256":
        here()
Path.unlink = unlinked
""",
}


# The first save finds nothing to replace; later ones do.
@pytest.mark.parametrize(("turn", "point"), [(1, "amid a state"), *((3, point) for point in POINTS)])
def test_killed_inside_saving(
    start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path, point: str, turn: int
) -> None:
    folder = tmp_path / "run"
    process = start(pictures, folder, before=HERE.format(time=turn) + POINTS[point])
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    process = start(pictures, folder)
    process.join(300)
    assert process.exitcode == 0, folder.with_suffix(".log").read_text()
    assert same(pw.Run(folder), whole[0])


WENT_ON = "the work went on behind the signal"
# A signal comes at the nth call of a function, which is not called again.
SIGNALLED = """
import importlib, signal

os.environ["PENNYWEIGHT_CACHE"] = {cache!r}
place = importlib.import_module({module!r})
for part in {function!r}.split(".")[:-1]:
    place = getattr(place, part)
original = getattr(place, {function!r}.split(".")[-1])
calls = 0

def signalled(*arguments, **options):
    global calls
    calls += 1
    if calls == {turn}:
        os.kill(os.getpid(), signal.{signal})
    if calls > {turn}:
        print({went_on!r})
    return original(*arguments, **options)

setattr(place, {function!r}.split(".")[-1], signalled)
"""
MEASURED = (*USUAL, "--speed", "auto", "--preflight")
HEAD = (*STEPS, "--mode", "head", "--folds", "1")
FOLDED = (*STEPS, "--mode", "head")
REGRESSION = ("--mode", "head")
NETWORKS = (*STEPS, "--mode", "scratch", "--folds", "3")
FINETUNED = (*STEPS, "--mode", "finetune", "--set", "head_epochs=2", "--folds", "3")
PHASES = {
    "scan": ("pennyweight.core.walk", "Walk.listing", 2, USUAL),
    "hashing": ("pennyweight.data.readers.folder", "read_samples", 1, USUAL),
    "reading": ("pennyweight.data.pictures", "Pictures._decode_all", 2, USUAL),
    "pre-flight": ("pennyweight.train.preflight", "_overfit", 1, MEASURED),
    "measuring": ("pennyweight.train.autotune", "_step_ms", 2, MEASURED),
    "features": ("pennyweight.train.feature_cache", "FeatureCache.add", 2, HEAD),
    "heads in folds": ("pennyweight.verbs.fitting.train_in_folds", "_steps", 3, FOLDED),
    "weights of all folds": ("pennyweight.verbs.fitting.train_in_folds", "save_weights", 1, FOLDED),
    "regressions": ("pennyweight.train.logistic_head", "_Learned._path", 2, REGRESSION),
    "networks in folds": ("pennyweight.train.trainer", "Trainer.step", 45, NETWORKS),
    "answers of a fold": ("pennyweight.verbs.fitting.train_networks_in_folds", "answer", 2, NETWORKS),
    "features in folds": ("pennyweight.train.feature_cache", "FeatureCache.add", 3, FINETUNED),
    "last layers in folds": ("pennyweight.train.trainer", "Trainer.step", 60, FINETUNED),
    "last layer": ("pennyweight.train.trainer", "Trainer.step", 5, HEAD),
    "training": ("pennyweight.train.trainer", "Trainer.step", 20, USUAL),
    "validation": ("pennyweight.train.trainer", "Trainer._score", 2, USUAL),
    "best weights": ("pennyweight.verbs.fitting.modes", "save_weights", 1, USUAL),
    "scoring": ("pennyweight.verbs.fitting.pictures", "answer_and_measure", 1, USUAL),
    "report": ("pennyweight.verbs.fitting.pictures", "finish", 1, USUAL),
}


@pytest.mark.parametrize("phase", PHASES)
def test_terminated_in_every_phase(
    start: Start, left_alone: Callable[[tuple[str, ...]], pw.Run], pictures: Path, tmp_path: Path, phase: str
) -> None:
    folder, (module, function, turn, options) = tmp_path / "run", PHASES[phase]
    before = SIGNALLED.format(
        module=module, function=function, turn=turn, cache=str(tmp_path / "cache"), went_on=WENT_ON, signal="SIGTERM"
    )
    process = start(pictures, folder, *options, before=before)
    process.join(300)
    log = folder.with_suffix(".log").read_text()
    assert (process.exitcode, log.splitlines()[-1]) == (TERMINATED, "error: terminated")
    assert "Traceback" not in log
    assert WENT_ON not in log
    if list(PHASES).index(phase) >= list(PHASES).index("last layer"):
        assert step_of(folder) >= 0
    again = USUAL if options == MEASURED else options  # nothing of a run had begun, and measuring takes long
    process = start(pictures, folder, *again)
    process.join(300)
    assert process.exitcode == 0, folder.with_suffix(".log").read_text()
    assert pw.Run(folder).record["status"] == "complete"
    assert same(pw.Run(folder), left_alone(again))


@pytest.mark.parametrize("phase", [name for name in PHASES if "fold" in name or name == "regressions"])
def test_killed_in_folds(
    start: Start, left_alone: Callable[[tuple[str, ...]], pw.Run], pictures: Path, tmp_path: Path, phase: str
) -> None:
    folder, (module, function, turn, options) = tmp_path / "run", PHASES[phase]
    before = SIGNALLED.format(
        module=module, function=function, turn=turn, cache=str(tmp_path / "cache"), went_on=WENT_ON, signal="SIGKILL"
    )
    for _ in range(2):  # the second comes as far again, and no farther than a whole run
        process = start(pictures, folder, *options, before=before)
        process.join(300)
        assert process.exitcode in (0, -signal.SIGKILL), folder.with_suffix(".log").read_text()
    process = start(pictures, folder, *options)
    process.join(300)
    assert process.exitcode == 0, folder.with_suffix(".log").read_text()
    assert same(pw.Run(folder), left_alone(options))


@pytest.mark.parametrize(
    ("verb", "module", "function"),
    [
        ("evaluate", "pennyweight.verbs.answered_source", "answer"),
        ("export", "pennyweight.deploy.export", "export_graph"),
        ("export", "pennyweight.deploy.export", "prove"),
    ],
)
def test_terminated_behind_training(
    start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path, verb: str, module: str, function: str
) -> None:
    out, run = tmp_path / "out.onnx", whole[0].folder
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    arguments = (verb, str(run), *(("--out", str(out)) if verb == "export" else ()))
    signalled = SIGNALLED.format(
        module=module, function=function, turn=1, cache=str(tmp_path / "cache"), went_on=WENT_ON, signal="SIGTERM"
    )
    process = start(pictures, out, verb=arguments, before=signalled)
    process.join(300)
    log = out.with_suffix(".log").read_text()
    assert (process.exitcode, log.splitlines()[-1]) == (TERMINATED, "error: terminated")
    assert [path.name for path in tmp_path.iterdir()] == ["out.log"]
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("module", "function", "turn"),
    [
        ("pennyweight.deploy.export", "export_graph", 1),
        ("pennyweight.deploy.export", "onnx.save", 1),
        ("pennyweight.deploy.export", "prove", 1),
        ("pennyweight.deploy.export", "onnx.save", 2),
        ("pennyweight.deploy.export", "seal", 1),
        ("pathlib", "Path.replace", 1),
    ],
)
def test_an_export_that_is_killed_leaves_no_half_bundle_and_the_next_one_clears_up(
    start: Start, whole: tuple[pw.Run, float], pictures: Path, tmp_path: Path, module: str, function: str, turn: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    out, run = folder / "out.onnx", whole[0].folder
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    export = ("export", str(run), "--out", str(out))
    killed = SIGNALLED.format(
        module=module, function=function, turn=turn, cache=str(tmp_path / "c"), went_on=WENT_ON, signal="SIGKILL"
    )
    process = start(pictures, tmp_path / "killed", verb=export, before=killed)
    process.join(300)
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "killed.log").read_text()
    assert all(path.name.startswith(".out.") and ".tmp" in path.name for path in folder.iterdir())
    process = start(pictures, tmp_path / "again", verb=export)
    process.join(300)
    assert process.exitcode == 0, (tmp_path / "again.log").read_text()
    assert list(folder.iterdir()) == [out]
    assert pw.Bundle(out).manifest.labels == tuple(whole[0].labels)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before

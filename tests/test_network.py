"""No command asks an address that it was not asked to ask: system calls are watched, not the libraries' promises."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)"),
]

# A process stops at these calls alone, by --seccomp-bpf; at all of them it would take several times as long.
CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')
DNS = 53
TINY = (
    "--model",
    "mobilenet_v1_x0_25",
    "--config",
    "stages=[[32, 1, 1], [64, 1, 2]]",
    "--input",
    "16",
    "--epochs",
    "1",
)
LINGERING = """
import sys, time
import pennyweight as pw

classifier = pw.load(sys.argv[1])
classifier.predict([sys.argv[2]])
time.sleep(8)  # reports are sent some seconds after a session was made
"""


def addresses(log: str) -> set[tuple[str, int]]:
    """The addresses and ports of a log of strace; unix sockets have none."""
    return {(found[2], int(found[1])) for found in ADDRESS.finditer(log) if int(found[1])}


def is_foreign(address: str, port: int) -> bool:
    return port == DNS or not (address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, seen_digits: Path) -> Path:
    """A working folder with a home of its own, whose cache knows the digits' twins: to search for them takes long."""
    folder = tmp_path_factory.mktemp("watched")
    shutil.copytree(seen_digits, folder / "home" / ".cache" / "pennyweight")
    return folder


@pytest.fixture(scope="module")
def watch(place: Path, users_environment: Mapping[str, str]) -> Callable[..., str]:
    def run(*command: str, status: int | None = 0, **environment: str) -> str:
        """Run a program; return the log of every address that it or a process it started asked or sent to."""
        log = place / "strace.log"
        done = subprocess.run(
            ["strace", "-f", "--seccomp-bpf", "-qq", "-e", CALLS, "-o", str(log), sys.executable, *command],
            cwd=place,
            env={**users_environment, "HOME": str(place / "home"), "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
        )
        assert status is None or done.returncode == status, done.stderr
        return log.read_text(errors="replace")

    return run


@pytest.fixture(scope="module")
def watched(watch: Callable[..., str]) -> Callable[..., set[tuple[str, int]]]:
    """`watched(*command, status=0, **environment)`: the addresses that the program asked."""
    return lambda *command, **options: addresses(watch(*command, **options))


COMMANDS: Mapping[str, Sequence[str]] = {
    "names": ("names",),
    "weigh": ("weigh", "mobilenet_v2_x0_35", "--measure"),
    "weigh timm": ("weigh", "timm:mobilenetv3_small_050.lamb_in1k"),
    "fit": ("fit", "digits", *TINY, "--out", "run"),
    "export": ("export", "run"),
    "doctor": ("doctor", "digits"),
    "evaluate run": ("evaluate", "run"),
    "evaluate bundle": ("evaluate", "run/model.onnx", "digits"),
    "predict run": ("predict", "run", "picture.png"),
    "predict bundle": ("predict", "run/model.onnx", "picture.png"),
    "leakage": ("scene", "leakage", "scene:synthetic"),
    "fit with tensorboard": ("fit", "digits", *TINY, "--log", "tensorboard", "--out", "tracked"),
    "fit scene": ("scene", "fit", "scene:synthetic", "--model", "spectral_mlp", "--epochs", "1", "--out", "scene"),
}
IN_TURN = """
import json, socket, sys
from pennyweight.cli import main

for name, words in json.loads(sys.argv[1]).items():
    with socket.socket(socket.AF_UNIX) as sign:
        sign.connect_ex(f"/begins/{name}")  # no such file; the log shows where the command begins
    assert main(words) == 0, name
"""


@pytest.fixture(scope="module")
def asked(place: Path, watch: Callable[..., str]) -> Mapping[str, set[tuple[str, int]]]:
    """The addresses that each command asked, all in one process, so that torch is loaded once."""
    Image.new("L", (16, 16), 200).save(place / "picture.png")
    _, *parts = re.split(r'/begins/([^"]+)"', watch("-c", IN_TURN, json.dumps(COMMANDS)))
    return {name: addresses(log) for name, log in zip(parts[::2], parts[1::2], strict=True)}


@pytest.fixture(scope="module")
def run_folder(place: Path, asked: Mapping[str, object]) -> Path:
    """A run with its bundle, and a picture beside it."""
    return place / "run"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_asks_no_address(command: str, asked: Mapping[str, set[tuple[str, int]]]) -> None:
    assert asked[command] == set()


def test_a_loaded_classifier_stays_silent_and_writes_nothing(
    run_folder: Path, place: Path, watched: Callable[..., set[tuple[str, int]]]
) -> None:
    before = set((place / "home").rglob("*"))
    assert watched("-c", LINGERING, "run/model.onnx", "picture.png") == set()
    assert {path for path in (place / "home").rglob("*") if path.is_file()} <= before


TRACKERS = {
    name: ("fit", "digits", *TINY, "--log", name, "--out", f"tracked-by-{name}") for name in ("mlflow", "wandb")
}
LOCAL = {"MLFLOW_TRACKING_URI": "mlruns", "MLFLOW_ALLOW_FILE_STORE": "true", "WANDB_MODE": "offline"}


def test_trackers_on_this_machine_tell_nobody_else(
    run_folder: Path, watched: Callable[..., set[tuple[str, int]]]
) -> None:
    here = {name: words for name, words in TRACKERS.items() if find_spec(name) is not None}
    if not here:
        pytest.skip("neither mlflow nor wandb is installed")
    asked = watched("-c", IN_TURN, json.dumps(here), **LOCAL)
    assert {each for each in asked if is_foreign(*each)} == set()


def test_a_fetch_is_seen(watched: Callable[..., set[tuple[str, int]]]) -> None:
    """The watching can fail: a command that was asked to fetch shows its address."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        asked = watched("-m", "pennyweight", "doctor", f"http://127.0.0.1:{port}/train-{{000..001}}.tar", status=None)
        assert ("127.0.0.1", port) in asked
    finally:
        server.shutdown()
        server.server_close()


def test_onnxruntime_would_report(place: Path, run_folder: Path, watched: Callable[..., set[tuple[str, int]]]) -> None:
    """The reports that are switched off exist: without the switch a device id is written.

    Where this fails, onnxruntime has changed: look for its reports anew, and for what switches them off.
    """
    home = place / "reporting"
    home.mkdir()
    program = "import onnxruntime as o; o.InferenceSession('run/model.onnx', providers=['CPUExecutionProvider'])"
    watched("-c", program, HOME=str(home))
    written = [path for path in home.rglob("*") if path.is_file()]
    version = importlib.metadata.version("onnxruntime")
    assert written, f"onnxruntime {version} wrote no device id: OFF in core.telemetry may no longer name its switch"

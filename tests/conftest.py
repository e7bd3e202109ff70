"""Fixtures that more than one room's tests use. Torch is loaded where it is used: the process that only hands out
cases to others never needs it.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

# By these variables libraries know a build server.
BUILD_SERVERS = {
    "CI",
    "BUILD_BUILDID",
    "TF_BUILD",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "CODEBUILD_BUILD_ID",
    "CODEBUILD_BUILD_ARN",
    "BUILDKITE",
    "TEAMCITY_VERSION",
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "CIRRUS_CI",
    "CLOUD_RUN_JOB",
}

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes share the cores: a thread each, before torch asks
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell's background job ignores Ctrl-C, and so would every process that tests start to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test cuts the power, and a test process would wait for the disk thousands of times. Other processes keep fsync.
os.fsync = lambda descriptor: None


def pytest_collection() -> None:
    """Pause the collector of cycles while test files are imported: what they make stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave modules and test cases out of each later search for cycles, and search seldom: it is a twentieth of all."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


LONGEST = frozenset((
    "test_salinas_a_is_learned_from_a_tenth_of_its_pixels",
    "test_a_containers_user_runs_the_commands_of_the_demo",
    "test_this_machine_can_be_measured",
    "test_cats_and_dogs_with_no_option",
    "test_the_readme_runs",
    "test_a_page_of_the_documentation_runs",
    "test_a_rank_that_is_killed_ends_the_other_with_one_line",
    "test_a_rank_that_dies_ends_the_other_and_the_training_goes_on",
))  # fmt: skip
"""Slow cases of half a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest cases, so that no process waits for one of them at the end."""
    items.sort(key=lambda item: getattr(item, "originalname", item.name) not in LONGEST)


def noise(height: int, width: int, channels: int | None = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pixels, (H, W, channels) or (H, W): a picture with edges, as photographs have."""
    drawn = np.random.default_rng(seed).integers(0, 256, (5, 7, channels or 1), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(drawn[..., plane]).resize((width, height), Image.Resampling.BICUBIC))
        for plane in range(channels or 1)
    ]
    return planes[0] if channels is None else np.stack(planes, axis=-1)


@pytest.fixture(name="noise", scope="session")
def noise_fixture() -> Callable[..., NDArray[np.uint8]]:
    """`noise(height, width, channels=3, seed=0)`."""
    return noise


@pytest.fixture(scope="session", autouse=True)
def patient_check_of_augmentation() -> None:
    """The check of augmentation ends by its steps, so that its answer is the same on a busy machine."""
    from pennyweight.verbs.fitting import check_augmentation

    check_augmentation.LIMIT_S = 600.0


@pytest.fixture(scope="session")
def users_environment() -> Mapping[str, str]:
    """The environment of a person's machine that has no switch for reports set.

    Libraries send none on a build server either, and a test that watches them there would watch nothing.
    """
    from pennyweight.core.telemetry import OFF

    return {
        name: value
        for name, value in os.environ.items()
        if name not in OFF and name not in BUILD_SERVERS and not name.startswith("XDG_")
    }


@pytest.fixture
def draw_folder(tmp_path: Path) -> Callable[..., Path]:
    """`draw_folder({"cats": 3, "train/dogs": 2})`: a folder of different PNG pictures, so many in each folder."""

    def draw(counts: Mapping[str, int], *, name: str = "pets", side: int = 40, first: int = 0) -> Path:
        root = tmp_path / name
        seed = first
        for inner, count in counts.items():
            (root / inner).mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                Image.fromarray(noise(side, side, seed=seed)).save(root / inner / f"picture-{seed:04d}.png")
                seed += 1
        return root

    return draw


def write_shards(folder: Path, counts: Mapping[str, Sequence[int]], *, classes: int = 10) -> str:
    """WebDataset shards of 8×8 PNG pictures, and their address: `{"train": [3, 4], "test": [2]}` are three files.

    A picture's upper left colour is its number, its right half is bluer, and its class is its number modulo `classes`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number, names = 0, []
    for split, shards in counts.items():
        for shard, count in enumerate(shards):
            names.append(f"{split}-{shard:03d}")
            with tarfile.open(folder / f"{names[-1]}.tar", "w") as tape:
                for _ in range(count):
                    pixels = np.empty((8, 8, 3), np.uint8)
                    pixels[:] = number % 256, number // 256 % 256, number // 65536
                    pixels[:, 4:, 2] = 200
                    file = io.BytesIO()
                    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
                    add_sample(tape, f"{number:06d}", png=file.getvalue(), cls=str(number % classes).encode())
                    number += 1
    return str(folder / f"{{{','.join(names)}}}.tar")


def add_sample(tape: tarfile.TarFile, key: str, **parts: bytes) -> None:
    """Append a sample: a file for each of its parts."""
    for ending, content in parts.items():
        info = tarfile.TarInfo(f"{key}.{ending}")
        info.size = len(content)
        tape.addfile(info, io.BytesIO(content))


@pytest.fixture(name="write_shards", scope="session")
def write_shards_fixture() -> Callable[..., str]:
    """`write_shards(folder, {"train": [3, 4]}, classes=10)`."""
    return write_shards


@pytest.fixture(name="add_sample", scope="session")
def add_sample_fixture() -> Callable[..., None]:
    """`add_sample(tape, key, png=…, cls=…)`."""
    return add_sample


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)`: the folder that `make(folder)` filled, once for all test processes of a session."""
    import torch

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, complete = shared / name, shared / f"{name}.complete"
        with FileLock(shared / f"{name}.lock"):
            if not complete.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                folder.mkdir()
                threads = torch.get_num_threads()
                torch.set_num_threads(1)  # as the tests that compare bits with it have
                try:
                    make(folder)
                finally:
                    torch.set_num_threads(threads)
                complete.touch()
        return folder

    return once


def content_of(network: Any) -> str:
    """A digest of all that decides the graph of a network: its modules, their settings and their numbers."""
    digest = hashlib.sha256(repr(network).encode())
    for name, module in network.named_modules():
        kept = {key: value for key, value in vars(module).items() if isinstance(value, (int, float, str, tuple))}
        digest.update(f"{name} {type(module)} {kept}".encode())
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        digest.update(name.encode() + values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def exported_once(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Iterator[None]:
    """Have torch's exporter follow a network once for all test processes: an equal network gets the same graph."""
    import onnx
    import torch

    export = torch.onnx.export

    def keep_operators() -> None:
        """Have the exporter list its operators once for all networks; it does so anew for each."""
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        if not hasattr(ONNXRegistry.from_torchlib, "cache_info"):
            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))

    def once(network: Any, inputs: tuple[Any, ...], **options: Any) -> SimpleNamespace:
        asked = f"{content_of(network)} {[(one.shape, one.dtype) for one in inputs]} {options}"

        def write(folder: Path) -> None:
            keep_operators()
            onnx.save(export(network, inputs, **options).model_proto, folder / "graph.onnx")

        folder = made_once(f"graph-{hashlib.sha256(asked.encode()).hexdigest()}", write)
        return SimpleNamespace(model_proto=onnx.load(folder / "graph.onnx"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", once)
        yield


@pytest.fixture(scope="session")
def seen_digits(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A cache folder that knows the digits and their twins: to search for them takes longer than most trainings."""

    def look(folder: Path) -> None:
        from pennyweight import data
        from pennyweight.data.twins_of import glance_at, twins_among

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PENNYWEIGHT_CACHE", str(folder))
            glances = glance_at(data.open("digits"))
            assert glances is not None
            twins_among(glances)

    return made_once("seen-digits", look)


@pytest.fixture(scope="session")
def twins_once() -> Iterator[None]:
    """Search the same pictures for twins once in this process: another room looks at the search."""
    from pennyweight.data import twins_of

    search, found = twins_of.find_twins, {}

    def once(gray: NDArray[np.uint8], *, against: NDArray[np.uint8] | None = None, **options: Any) -> Any:
        key = tuple(None if side is None else (side.shape, side.tobytes()) for side in (gray, against))
        if key not in found:
            found[key] = search(gray, against=against, **options)
        elif options:
            options["advance"](len(gray))
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins_of, "find_twins", once)
        yield


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a machine in two rounds instead of eight, and its limits once."""
    from pennyweight.cost.timing import predict

    monkeypatch.setattr(predict, "ROUNDS", 2)
    monkeypatch.setattr(predict, "measure_limits", cache(predict.measure_limits))


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score trivial classifiers of one tree instead of twenty: for cases that are about something else."""
    from pennyweight.data.checks import views

    monkeypatch.setattr(views, "TREES", 1)


@pytest.fixture
def no_shortcuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave trivial classifiers out, for cases that are about something else."""
    for module in ("data.checks.doctor", "verbs.fitting.leaks"):
        monkeypatch.setattr(f"pennyweight.{module}.shortcuts", lambda *_: ())


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots out of the runs' reports, for cases that are about something else."""
    from pennyweight.report import plots

    for name in plots.__all__:
        monkeypatch.setattr(plots, name, lambda *_, **__: "<svg></svg>")


@pytest.fixture(scope="session")
def sources() -> Mapping[str, ast.Module]:
    """The syntax tree of each file of the package, by its path: several tests read them all."""
    root = Path(__file__).parents[1] / "src" / "pennyweight"
    found = {
        file.relative_to(root).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(root.rglob("*.py"))
    }
    assert len(found) > 200
    return found


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where this machine has one."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not shelf or not (Path(shelf) / "cats-dogs").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with real data sets")
    return Path(shelf)


@pytest.fixture
def real_scenes() -> Path:
    """The folder of real scenes, where this machine has one."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not shelf or not (Path(shelf) / "salinas-a").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with scenes")
    return Path(shelf)


BROWSER_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # a camera that shows a made picture, and no question about it
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless chromium, with a log of its requests and complaints."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield window
    window.quit()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB, where this process may mount one."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root on Linux mounts a small disk")
    place = tmp_path / "small-disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


SPACE = """
[[candidates]]
network = "mobilenet_v1"
sizes = [32, 64]
width = [0.25, 0.5, 0.75, 1.0]
depth = [0.5, 1.0]

[[candidates]]
network = "resnet_9"
sizes = [32]
width = [0.25]
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A file with seventeen small candidates."""
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    return path


@cache
def timed_rows() -> list[Any]:
    """Networks whose times are made: 1 ms, and another one for each 10 million MACs."""
    from pennyweight.search.counted import count_candidate
    from pennyweight.search.engine_times import Timed
    from pennyweight.search.space import candidates_of

    table = {"network": "mobilenet_v1", "sizes": [32, 48, 64], "width": [0.25, 0.5, 1.0], "depth": [0.5, 1.0]}
    counted = [count_candidate(candidate) for candidate in candidates_of([table])]
    return [Timed(each.candidate.name, each.work, 1 + each.macs / 1e7) for each in counted]


def save_made_times() -> Any:
    """Keep times of an engine for this machine in the cache folder, those of `timed_rows`; return them."""
    from pennyweight.core.machine import cores
    from pennyweight.runtime.engine import EngineChoice
    from pennyweight.search.engine_times import EngineTimes
    from pennyweight.search.measure import conditions_of

    conditions = conditions_of(EngineChoice(), threads=cores(), batch=1, int8=False)
    times = EngineTimes.learn(conditions, timed_rows(), created="2026-01-01T00:00:00+00:00")
    times.save()
    return times


@pytest.fixture
def engine_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Times of an engine that are kept for this machine."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return save_made_times()


@pytest.fixture
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Search few candidates, and time them once; a call keeps made times of the engine in the cache folder."""
    from pennyweight.search import measure
    from pennyweight.verbs import pick

    monkeypatch.setattr(measure, "REPEATS", 1)
    monkeypatch.setattr(pick, "read_space", lambda path: tomllib.loads(SPACE)["candidates"])
    return save_made_times

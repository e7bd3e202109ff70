"""Limits of control groups, read from folders that look like those of a container, and what they bound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pennyweight.core import machine as machines
from pennyweight.core.cgroups import Limits, read_limits
from pennyweight.core.machine import cores, granted_cores, machine, machine_line, memory_bytes, memory_share, quota_line
from pennyweight.core.threads import VARIABLES, bound_threads

V2 = "31 23 0:28 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 {top} /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
)
MIB = 1 << 20


def tree(root: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    """Write the files of /proc and of control groups below `root`."""
    for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CPU = "sys/fs/cgroup/cpu.max"
CPU_V1 = "sys/fs/cgroup/cpu,cpuacct"
MEMORY_V1 = "sys/fs/cgroup/memory"
CASES = {
    "v2 in a namespace": (V2, "/", "0::/\n", {CPU: "200000 100000\n"}, 2.0, None),
    "v2, a fraction": (V2, "/", "0::/\n", {CPU: "150000 100000\n"}, 1.5, None),
    "v2, less than a core": (V2, "/", "0::/\n", {CPU: "25000 50000\n"}, 0.5, None),
    "v2, max": (V2, "/", "0::/\n", {CPU: "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}, None, None),
    "v2, the default period": (V2, "/", "0::/\n", {CPU: "300000\n"}, 3.0, None),
    "v2, the smallest above": (
        V2,
        "/",
        "0::/kubepods/pod/box\n",
        {
            "sys/fs/cgroup/kubepods/cpu.max": "800000 100000",
            "sys/fs/cgroup/kubepods/pod/cpu.max": "200000 100000",
            "sys/fs/cgroup/kubepods/pod/box/cpu.max": "max 100000",
            "sys/fs/cgroup/kubepods/memory.max": str(512 * MIB),
            "sys/fs/cgroup/kubepods/pod/box/memory.max": str(600 * MIB),
        },
        2.0,
        512 * MIB,
    ),
    "v2, a smaller one above": (
        V2,
        "/",
        "0::/pod/box\n",
        {"sys/fs/cgroup/pod/cpu.max": "200000 100000", "sys/fs/cgroup/pod/box/cpu.max": "800000 100000"},
        2.0,
        None,
    ),
    "v2, the host's path": (V2, "/docker/abc", "0::/docker/abc\n", {CPU: "100000 100000"}, 1.0, None),
    "v2, below the host's path": (
        V2,
        "/docker/abc",
        "0::/docker/abc/job\n",
        {CPU: "max", "sys/fs/cgroup/job/cpu.max": "400000 100000"},
        4.0,
        None,
    ),
    "v2, a path of another namespace": (V2, "/", "0::/../../other\n", {CPU: "100000 100000"}, 1.0, None),
    "v2, a path that is not mounted": (V2, "/", "0::/gone/away\n", {CPU: "100000 100000"}, 1.0, None),
    "v2, throttled memory": (V2, "/", "0::/\n", {"sys/fs/cgroup/memory.high": f"{MIB}\n"}, None, MIB),
    "v1": (
        V1,
        "/",
        "4:memory:/\n3:cpu,cpuacct:/\n0::/\n",
        {
            f"{CPU_V1}/cpu.cfs_quota_us": "250000\n",
            f"{CPU_V1}/cpu.cfs_period_us": "100000\n",
            f"{MEMORY_V1}/memory.limit_in_bytes": str(2048 * MIB),
        },
        2.5,
        2048 * MIB,
    ),
    "v1, no limit": (
        V1,
        "/",
        "4:memory:/\n3:cpu,cpuacct:/\n",
        {f"{CPU_V1}/cpu.cfs_quota_us": "-1\n", f"{CPU_V1}/cpu.cfs_period_us": "100000\n"},
        None,
        None,
    ),
    "v1, the host's path": (
        V1,
        "/docker/abc",
        "3:cpuacct,cpu:/docker/abc\n",
        {f"{CPU_V1}/cpu.cfs_quota_us": "100000\n", f"{CPU_V1}/cpu.cfs_period_us": "50000\n"},
        2.0,
        None,
    ),
    "hybrid": (
        V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        "/",
        "3:cpu,cpuacct:/box\n0::/box\n",
        {
            f"{CPU_V1}/box/cpu.cfs_quota_us": "100000\n",
            f"{CPU_V1}/box/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/box/memory.max": str(MIB),
        },
        1.0,
        MIB,
    ),
    "a blank in the mount's path": (
        V2.replace("/sys/fs/cgroup", r"/my\040groups"),
        "/",
        "0::/\n",
        {"my groups/cpu.max": "100000 100000"},
        1.0,
        None,
    ),
    "garbage": (
        V2 + "nonsense\n1 2 3 - cgroup2\n",
        "/",
        "no colons\n0:\n::\n0::/\n",
        {CPU: "\x00²many -7", "sys/fs/cgroup/memory.max": "-5"},
        None,
        None,
    ),
    "zero": (V2, "/", "0::/\n", {CPU: "0 100000", "sys/fs/cgroup/memory.max": "0"}, None, None),
    "a period of zero": (V2, "/", "0::/\n", {CPU: "100000 0"}, None, None),
    "files without text": (V2, "/", "0::/\n", {CPU: "", "sys/fs/cgroup/memory.max": ""}, None, None),
    "no mounts": ("", "/", "0::/\n", {CPU: "100000 100000"}, None, None),
    "no groups": (V2, "/", "", {CPU: "100000 100000"}, None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_limit_along_the_path_counts(tmp_path: Path, case: str) -> None:
    mounts, top, groups, files, cpus, memory = CASES[case]
    assert read_limits(tree(tmp_path, mounts.format(top=top), groups, files)) == Limits(cpus, memory)


def test_a_system_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits()


def test_a_folder_in_a_files_place_limits_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path, V2.format(top="/"), "0::/\n", {})
    (root / CPU).mkdir(parents=True)
    assert read_limits(root) == Limits()


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 64), (0.1, 1), (1.0, 1), (1.5, 2), (2.0, 2), (63.5, 64), (64.0, 64), (900.0, 64)]
)
def test_a_quota_bounds_the_cores(monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int) -> None:
    monkeypatch.setattr(machines, "granted_cores", lambda: 64)
    monkeypatch.setattr(machines, "read_limits", lambda: Limits(cpus=quota))
    assert cores() == machine()["cores"] == expected
    said = "" if expected == 64 else f"{expected} of 64 cores (the container's CPU quota of {quota:.4g})"
    assert quota_line() == said
    assert said in machine_line()
    assert ("quota" in machine()) == bool(said)


def test_a_memory_limit_bounds_what_is_kept(monkeypatch: pytest.MonkeyPatch, draw_folder) -> None:
    from pennyweight import data
    from pennyweight.core.preprocess import Preprocess

    monkeypatch.setattr(machines, "read_limits", lambda: Limits(memory_bytes=1 << 20))
    assert memory_bytes() == 1 << 20
    assert memory_share(1 << 30, 1 / 4) == 1 << 18
    assert memory_share(100, 1 / 4) == 100
    samples = data.open(draw_folder({"a": 6, "b": 6})).samples
    assert data.Pictures(samples, Preprocess(size=56, resize=56)).fits  # 113 kB
    assert not data.Pictures(samples, Preprocess(size=64, resize=64)).fits  # 147 kB are more than an eighth


def test_a_shuffle_buffer_that_takes_much_of_the_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.data.streams.memory import StreamMemory

    monkeypatch.setattr(machines, "read_limits", lambda: Limits(memory_bytes=512_000_000))
    assert StreamMemory(64_000_000).warning == ""
    assert StreamMemory().bytes == 256_000_000  # the order of the pictures is the same on every machine
    assert "takes 256MB of the 512 MB that this process may use; --shuffle-buffer 128MB" in StreamMemory().warning


def test_an_unlimited_group_leaves_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "read_limits", lambda: Limits(memory_bytes=9223372036854771712))
    assert memory_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class TorchOf:
    """Stand-in for a torch that is loaded already."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.get_num_threads = lambda: self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads


@pytest.mark.parametrize(
    ("quota", "users", "before", "threads", "variable"),
    [
        (2.0, None, 64, 2, "2"),
        (1.5, None, 64, 2, "2"),
        (2.0, None, 1, 1, "2"),
        (2.0, "8", 8, 8, "8"),
        (None, None, 64, 64, None),
        (64.0, None, 64, 64, None),
    ],
)
def test_a_quota_bounds_threads_unless_the_user_set_them(
    monkeypatch: pytest.MonkeyPatch,
    quota: float | None,
    users: str | None,
    before: int,
    threads: int,
    variable: str | None,
) -> None:
    monkeypatch.setattr(machines, "granted_cores", lambda: 64)
    monkeypatch.setattr("pennyweight.core.threads.granted_cores", lambda: 64)
    monkeypatch.setattr(machines, "read_limits", lambda: Limits(cpus=quota))
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # restored at the end
        monkeypatch.delenv(name)
    if users is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", users)
    torch = TorchOf(before)
    monkeypatch.setitem(sys.modules, "torch", torch)
    bound_threads()
    assert torch.threads == threads
    assert os.environ.get("OMP_NUM_THREADS") == variable


LOADED = """
import json, sys
from pennyweight.core import cgroups, machine  # loads the package, which bounds the threads
import torch
print(json.dumps([machine.cores(), torch.get_num_threads()]))
"""
BOUND = """
import os, sys
from pathlib import Path
sys.path.insert(0, {source!r})
os.sched_getaffinity = lambda process: set(range(64))
read = Path.read_text
def made(path, *args, **kwargs):
    inside = str(path).startswith(("/proc/self/cgroup", "/proc/self/mountinfo", "/sys/fs/cgroup"))
    return read(Path({root!r}, str(path).lstrip("/")) if inside else path, *args, **kwargs)
Path.read_text = made
"""


@pytest.mark.slow
@pytest.mark.parametrize(("text", "expected"), [("200000 100000", 2), ("50000 100000", 1), ("150000 100000", 2)])
def test_torch_starts_with_the_threads_of_the_quota(tmp_path: Path, text: str, expected: int) -> None:
    root = tree(tmp_path, V2.format(top="/"), "0::/\n", {CPU: text})
    source = str(Path(machines.__file__).parents[2])
    program = BOUND.format(source=source, root=str(root)) + LOADED
    mine = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=mine)
    assert json.loads(done.stdout) == [expected, expected]


def test_cores_are_those_of_the_affinity_without_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "read_limits", Limits)
    assert cores() == granted_cores()
    assert quota_line() == ""

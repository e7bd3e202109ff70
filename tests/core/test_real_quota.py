"""A real quota: a control group of one core and 1.5 GiB, where the system lets a test make one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pennyweight.core import cgroups
from pennyweight.core.machine import granted_cores

pytestmark = pytest.mark.slow
MIB = 1 << 20
FILES: dict[str, Mapping[str, str]] = {
    "cpu": {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"},
    "memory": {"memory.limit_in_bytes": str(1500 * MIB)},
    cgroups.V2: {"cpu.max": "100000 100000", "memory.max": str(1500 * MIB)},
}
"""Limits of one core and 1.5 GiB: v1's hierarchies of the CPU and of memory, or v2's."""
REPORT = """
import json
import pennyweight as pw
import torch
from pennyweight.core.machine import cores, memory_bytes, quota_line
pw.create("resnet_9_x0_25")(torch.zeros(8, 3, 32, 32))
found = {"cores": cores(), "threads": torch.get_num_threads(), "said": quota_line(), "memory": memory_bytes()}
print(json.dumps(found))
"""


def make_group(controller: str) -> Path | None:
    """Make a group below this process's own, with the limits of FILES; None where the system does not let it."""
    own = next(cgroups._groups(Path("/"), controller), None)
    folder = None if own is None else own / f"pennyweight-{os.getpid()}"
    try:
        if folder is not None:
            folder.mkdir()
            for name, text in FILES[controller].items():
                (folder / name).write_text(text)
    except OSError:
        if folder is not None and folder.is_dir():
            folder.rmdir()
        return None
    return folder


@pytest.fixture
def groups() -> Iterator[list[Path]]:
    made = [group for controller in ("cpu", "memory") if (group := make_group(controller)) is not None]
    if len(made) < 2:
        made += [group for group in [make_group(cgroups.V2)] if group is not None]
    if not any((group / name).exists() for group in made for name in ("cpu.cfs_quota_us", "cpu.max")):
        pytest.skip("no group with a CPU quota can be made here")
    yield made
    for group in made:
        group.rmdir()


@pytest.mark.skipif(granted_cores() < 2, reason="a quota of one core bounds nothing on one core")
def test_a_process_in_the_group_uses_what_it_may(groups: list[Path]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}

    def join() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    done = subprocess.run(
        [sys.executable, "-c", REPORT], env=environment, preexec_fn=join, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["cores"] == found["threads"] == 1
    assert found["said"] == f"1 of {granted_cores()} cores (the container's CPU quota of 1)"
    if any((group / name).exists() for group in groups for name in ("memory.limit_in_bytes", "memory.max")):
        assert found["memory"] == 1500 * MIB

"""Machine and package versions on which a figure was measured."""

from __future__ import annotations

import math
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

from pennyweight.core.cgroups import read_limits
from pennyweight.core.figures import number

__all__ = [
    "bound_cores",
    "cores",
    "granted_cores",
    "machine",
    "machine_line",
    "memory_bytes",
    "memory_share",
    "quota_line",
    "versions",
]

PACKAGES = (
    "pennyweight",
    "torch",
    "torchvision",
    "accelerate",
    "numpy",
    "pillow",
    "onnx",
    "onnxruntime",
    "scikit-learn",
)


def granted_cores() -> int:
    """Return the number of cores that this process may run on: all, or those of its affinity (`taskset`, cpuset)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_bound: int | None = None


def bound_cores(most: int) -> None:
    """Bound the cores that this process counts as its own, because other processes of one task have the rest."""
    global _bound
    _bound = max(1, most)


def cores() -> int:
    """Return the number of cores that this process may use at the same time, at least 1.

    A container's CPU quota of 1.5 counts as 2: a second thread uses the half that one thread would leave.
    """
    quota = read_limits().cpus
    most = granted_cores() if quota is None else max(1, min(granted_cores(), math.ceil(quota)))
    return most if _bound is None else min(most, _bound)


def quota_line() -> str:
    """Return the cores that a container's quota leaves, such as "2 of 64 cores (the container's CPU quota of 1.5)".

    It is empty where no quota binds.
    """
    quota, granted = read_limits().cpus, granted_cores()
    if quota is None or cores() == granted:
        return ""
    return f"{cores()} of {granted} cores (the container's CPU quota of {number(quota)})"


def memory_bytes() -> int | None:
    """Return the memory that this process may use: the machine's, or less by the container's limit; None if unknown."""
    try:
        whole = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):  # Windows, and systems that do not tell
        whole = []
    return min((each for each in (*whole, read_limits().memory_bytes) if each is not None and each > 0), default=None)


def memory_share(most: int, share: float) -> int:
    """Return `most` bytes, or less where that is more than `share` of the memory that this process may use."""
    memory = memory_bytes()
    return most if memory is None else min(most, int(share * memory))


def machine() -> dict[str, str | int]:
    """Return processor, cores of this process and what limits them, system and Python version."""
    quota = quota_line()
    return {
        "processor": _processor(),
        "cores": cores(),
        **({"quota": quota} if quota else {}),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that figures depend on."""
    return dict(_versions(PACKAGES))


@cache
def _versions(packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Read the versions once in a process: each comes out of a file."""
    from importlib import metadata  # slow to import and rarely needed

    found = []
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found.append((package, metadata.version(package)))
    return tuple(found)


def machine_line() -> str:
    """Return the machine, and torch's version if installed, as one line."""
    torch = {name: version for name, version in versions().items() if name == "torch"}
    known = {**machine(), **torch}
    quota = known.pop("quota", None)
    return ", ".join(str(quota) if quota and name == "cores" else f"{name} {value}" for name, value in known.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Machine and package versions on which a figure was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["cores", "machine", "machine_line", "versions"]

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


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """Return processor, cores of this process, system and Python version."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that figures depend on."""
    from importlib import metadata  # slow to import and rarely needed

    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine_line() -> str:
    """Return the machine, and torch's version if installed, as one line."""
    torch = {name: version for name, version in versions().items() if name == "torch"}
    return ", ".join(f"{name} {value}" for name, value in {**machine(), **torch}.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Which machine and which versions a figure was measured on."""

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
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """Processor, cores this process may use, system and Python."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that figures depend on; what is not installed is left out."""
    from importlib import metadata  # seldom needed, and long to load

    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine_line() -> str:
    """The machine, and its torch where there is one, in words."""
    torch = {name: version for name, version in versions().items() if name == "torch"}
    return ", ".join(f"{name} {value}" for name, value in {**machine(), **torch}.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Limits of the control groups that this process runs in: a container's CPU quota and memory (Linux, v1 and v2).

A process is bound by its own group and by every group above it, so the smallest value counts. A container may see its
own group as the root (a cgroup namespace), and v1 and v2 may be mounted next to each other (hybrid).

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html, /admin-guide/cgroup-v1/memory.html,
/scheduler/sched-bwc.html, and cgroups(7) for the files of /proc.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["Limits", "read_limits"]

V2 = ""
"""Name that /proc/self/cgroup gives the hierarchy of version 2, instead of controllers."""


class Limits(NamedTuple):
    """Smallest limits of a process's control groups; None where nothing limits it."""

    cpus: float | None = None
    """CPU time per second, in cores: 1.5 for 150 ms in every 100 ms."""
    memory_bytes: int | None = None


@cache
def read_limits(root: Path = Path("/")) -> Limits:
    """Return the limits of this process, read once; `root` is the folder that holds `proc`."""
    cpus = [_cpu_max(folder) for folder in _groups(root, V2)] + [_cpu_quota(folder) for folder in _groups(root, "cpu")]
    memory = [_bytes(folder / name) for folder in _groups(root, V2) for name in ("memory.max", "memory.high")]
    memory += [_bytes(folder / "memory.limit_in_bytes") for folder in _groups(root, "memory")]
    return Limits(min(filter(None, cpus), default=None), min(filter(None, memory), default=None))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of those above it, as far as they are mounted."""
    group = _group_of(root, controller)
    mounted = _mounted(root, controller)
    if group is None or mounted is None:
        return
    top, place = mounted
    within = group.removeprefix(top.rstrip("/")).strip("/") if _inside(group, top) else ""
    # `..` stands for groups outside the namespace; a group that is not mounted here is that of the mount.
    parts = [part for part in within.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield place.joinpath(*parts[:count])


def _group_of(root: Path, controller: str) -> str | None:
    """Return the path of this process's group in a hierarchy, from /proc/self/cgroup; None without one."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, group = rest.partition(":")
        if colon and controller in controllers.split(","):
            return group
    return None


def _mounted(root: Path, controller: str) -> tuple[str, Path] | None:
    """Return a hierarchy's mounted group and the folder that it is mounted at, from /proc/self/mountinfo."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5 or len(kind) < 3:
            continue
        found = kind[0] == "cgroup2" if controller == V2 else kind[0] == "cgroup" and controller in kind[2].split(",")
        if found:
            return _unescaped(fields[3]), root / _unescaped(fields[4]).lstrip("/")
    return None


def _inside(group: str, top: str) -> bool:
    return top == "/" or group == top or group.startswith(f"{top.rstrip('/')}/")


def _unescaped(path: str) -> str:
    """Return a path of mountinfo, which writes blanks and backslashes as octal numbers."""
    for code, letter in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        path = path.replace(code, letter)
    return path


def _cpu_max(folder: Path) -> float | None:
    """Return the cores of `cpu.max`: "QUOTA PERIOD" in µs, the quota `max` for none."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _quotient(quota, period or "100000")


def _cpu_quota(folder: Path) -> float | None:
    """Return the cores of `cpu.cfs_quota_us`, which is -1 for none."""
    return _quotient(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _quotient(quota: str, period: str) -> float | None:
    numbers = _positive(quota), _positive(period)
    return numbers[0] / numbers[1] if numbers[0] and numbers[1] else None


def _bytes(path: Path) -> int | None:
    return _positive(_text(path))


def _positive(text: str) -> int | None:
    """Return a positive whole number; None for any other text, such as `max`, -1 or nothing."""
    return int(text) or None if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str:
    return _read(path).strip()


def _lines(path: Path) -> list[str]:
    return _read(path).splitlines()


def _read(path: Path) -> str:
    """Return a file's text; "" where it is missing or may not be read: such a file limits nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

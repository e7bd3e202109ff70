"""Workers of a search: how one process names itself to the others, and how they know that it ended."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["is_gone", "this_worker"]

PROCESSES = Path("/proc")


def this_worker() -> dict[str, Any]:
    """Return the names of this process: an identifier, its machine, its number, and the moment of its birth."""
    pid = os.getpid()
    return {"id": uuid.uuid4().hex, "machine": _machine(), "pid": pid, "born": _born(pid)}


def is_gone(worker: Mapping[str, Any]) -> bool:
    """Return True for a process of this machine that ended; False where that cannot be known."""
    if worker.get("machine") != _machine() or worker.get("born") is None:
        return False
    return _born(int(worker["pid"])) != str(worker["born"])


def _machine() -> str:
    """Return what tells machines apart, and containers on one machine, whose processes have numbers of their own."""
    try:
        boot = (PROCESSES / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {(PROCESSES / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def _born(pid: int) -> str | None:
    """Return the start of a process in the kernel's ticks; None where it ended, and on other systems than Linux."""
    try:
        state, *fields = (PROCESSES / f"{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else fields[18]

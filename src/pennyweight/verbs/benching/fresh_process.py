"""Time to the first answer, and memory, of a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["NOTHING", "Fresh", "measure_fresh", "peak_bytes"]

LIMIT_S = 600
"""Seconds after which a process is ended; torch.compile takes minutes on a small machine."""
STATUS = Path("/proc/self/status")


class Fresh(NamedTuple):
    """Measurement of a fresh process; None for what could not be measured."""

    ready_s: float | None
    """Seconds from the start of the process to its first answer."""
    ready_cpu_s: float | None
    """Processor seconds of it, which other programs hardly change."""
    resident_bytes: int | None
    """Largest resident memory."""


NOTHING = Fresh(None, None, None)


def measure_fresh(what: Any, weights: Any, engine: str, threads: int, precision: str | None) -> Fresh:
    """Start Python, load a network and answer one picture; return the time from the start, and the memory."""
    asked = {
        "what": os.fspath(what),
        "weights": None if weights is None else os.fspath(weights),
        "settings": {"engine": engine, "threads": threads, "precision": precision},
    }
    command = [sys.executable, "-c", f"from {__name__} import main; main()", json.dumps(asked)]
    began = time.perf_counter()
    try:
        with subprocess.Popen(  # noqa: S603 - this Python
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            try:
                line = child.stdout.readline()
                ready_s = time.perf_counter() - began
                child.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                return NOTHING
        return Fresh(ready_s, **json.loads(line))
    except (OSError, ValueError, TypeError):
        return NOTHING


def main() -> None:
    """Run as the fresh process: load, answer one black picture, and print the largest resident memory."""
    import numpy as np

    from pennyweight.verbs.load import load

    asked = json.loads(sys.argv[1])
    classifier = load(asked["what"], weights=asked["weights"], **asked["settings"])
    classifier.engine(np.zeros((1, *classifier.preprocess.shape), np.uint8))
    print(json.dumps({"ready_cpu_s": time.process_time(), "resident_bytes": peak_bytes()}), flush=True)


def peak_bytes() -> int | None:
    """Return the largest resident memory of this process; None where the system does not tell."""
    if STATUS.exists():  # getrusage counts the memory of the parent that forked it
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

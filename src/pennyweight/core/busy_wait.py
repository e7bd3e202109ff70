"""Stop OpenMP threads from busy-waiting while other programs compete for the same cores.

Threads of libgomp, torch's OpenMP library, spin for milliseconds at the end of each parallel region. On a quiet machine
that is fastest. While another program is busy, a thread spins for one that the system has suspended, and a training
step takes several to fifty times as long. libgomp spins only a hundred times while a process has more OpenMP threads
than cores (its manual, GOMP_SPINCOUNT), so this module keeps an extra team of sleeping threads as long as the process
waits for cores. Linux 6.12 and newer also schedule a thread sooner that asks for short time slices; its share of a core
stays the same. The threads that compute, and therefore the bits of each result, do not change.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from pennyweight.core.machine import cores

__all__ = ["Sharing", "describe_thread_waiting", "sharing_cores"]

USERS_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Environment variables with which a user sets the waiting of threads; this module then changes nothing."""
FIRST_S, EVERY_S = 0.1, 0.5
"""Seconds before the first measurement of the waiting time, and between two measurements."""
BUSY, QUIET = 0.3, 0.15
"""Waiting time for a core, in seconds per second: above BUSY threads stop spinning, below QUIET they spin. Measured on
two cores: 0.02 to 0.07 on a quiet machine, 0.6 and more while one other program is busy."""
SLICE_NS = 100_000
"""Shortest time slice of Linux."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call sched_setattr, which Python lacks, by CPU architecture."""
SCHED_ATTR = struct.Struct("IIQiIQQQ")
"""Argument of sched_setattr: size, policy, flags, nice, priority, runtime (the slice), deadline, period."""
LOOKS_QUIET = 3
"""Quiet measurements in a row after which threads spin again."""


class Sharing:
    """Monitor that measures how long this process waits for cores, and lets OpenMP threads spin only below QUIET."""

    def __init__(self, libraries: Mapping[str, ctypes.CDLL]) -> None:
        self._libraries = libraries
        self._ended = threading.Event()
        self._team: threading.Event | None = None
        self._began = time.monotonic()
        self._yielding_since = 0.0
        self._yielded_s = 0.0
        self._quiet_looks = 0
        self._delays = run_delays()
        self._looked = self._began
        ask_for_slices(SLICE_NS)  # later threads inherit it
        self._watch = threading.Thread(target=self._look_again, name="busy-wait", daemon=True)
        self._watch.start()

    @property
    def yields(self) -> bool:
        """True while threads sleep instead of spinning."""
        return self._team is not None

    def share(self) -> float:
        """Return the share of the time until now, from 0 to 1, in which threads slept instead of spinning."""
        now = time.monotonic()
        yielded = self._yielded_s + (now - self._yielding_since if self.yields else 0.0)
        return yielded / max(now - self._began, 1e-9)

    def end(self) -> None:
        """Stop the monitor; threads spin again."""
        self._ended.set()
        self._watch.join()
        self._spin()
        ask_for_slices(0)

    def heed(self, waited: float) -> None:
        """Let threads sleep or spin by the time that they waited for a core, in seconds per second."""
        self._quiet_looks = self._quiet_looks + 1 if waited < QUIET else 0
        if waited > BUSY:
            self._yield()
        elif self._quiet_looks >= LOOKS_QUIET:
            self._spin()

    def _look_again(self) -> None:
        pause = FIRST_S
        while not self._ended.wait(pause):
            pause = EVERY_S
            delays, now = run_delays(), time.monotonic()
            waited = sum(delay - self._delays.get(thread, 0) for thread, delay in delays.items()) / 1e9
            self.heed(waited / (now - self._looked))
            self._delays, self._looked = delays, now

    def _yield(self) -> None:
        if self._team is None:
            self._team = threading.Event()
            self._yielding_since = time.monotonic()
            for library in self._libraries.values():
                threading.Thread(target=_keep_team, args=(library, self._team), daemon=True).start()

    def _spin(self) -> None:
        if self._team is not None:
            self._team.set()
            self._team = None
            self._yielded_s += time.monotonic() - self._yielding_since


_current: Sharing | None = None


@contextmanager
def sharing_cores() -> Iterator[Sharing | None]:
    """Let OpenMP threads spin only while this process gets the cores that it asks for.

    Yields:
        The monitor, whose `share()` is the share of time in which threads slept; in a nested block the monitor of the
        outer one. None, and nothing changes, if the user has set the waiting (`user_setting`), for a single thread,
        and without libgomp or Linux's scheduler statistics.
    """
    global _current
    alone = cores() == 1 or os.environ.get("OMP_NUM_THREADS") == "1"
    if _current is not None or user_setting() is not None or alone or not run_delays():
        yield _current
        return
    libraries = _libgomps()
    if not libraries:
        yield None
        return
    _current = Sharing(libraries)
    try:
        yield _current
    finally:
        _current.end()
        _current = None


def describe_thread_waiting() -> dict[str, Any]:
    """Return the entry of run.json on waiting threads: who decides, and the share of the time without spinning."""
    setting = user_setting()
    if setting is not None:
        return {"decided_by": setting}
    if _current is None:
        return {"decided_by": "the OpenMP library"}
    return {"decided_by": "the load", "share_without_spinning": round(_current.share(), 3)}


def user_setting() -> str | None:
    """Return the environment variable with which the user set the waiting, such as GOMP_SPINCOUNT=0, or None."""
    return next((f"{name}={os.environ[name]}" for name in USERS_OWN if name in os.environ), None)


def ask_for_slices(nanoseconds: int) -> int:
    """Request time slices of this length for each thread of this process; 0 restores the system's own.

    Return the number of threads for which the request succeeded: 0 on systems other than Linux. Before Linux 6.12 it
    has no effect.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    done = 0
    for thread in _threads():
        with suppress(OSError):  # the thread has ended
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            if os.sched_getscheduler(thread) != os.SCHED_OTHER:
                continue  # the user's choice, such as `chrt --batch`
            attributes = SCHED_ATTR.pack(SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, nanoseconds, 0, 0)
            done += libc.syscall(number, thread, attributes, 0) == 0
    return done


def _threads() -> list[int]:
    """Return the system ids of this process's threads; empty on systems other than Linux."""
    try:
        return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    except OSError:
        return []


def run_delays() -> dict[int, int]:
    """Return the nanoseconds for which each thread of this process was ready to run but had no core.

    Read from Linux's /proc/self/task/*/schedstat; empty on other systems.
    """
    delays = {}
    for thread in _threads():
        with suppress(OSError, IndexError, ValueError):  # the thread has ended
            delays[thread] = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1])
    return delays


def _keep_team(library: ctypes.CDLL, until: threading.Event) -> None:
    """Start a team of one more OpenMP thread than cores from this thread; the team sleeps until `until` is set."""
    nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL) does nothing and needs no GIL
    library.GOMP_parallel(nothing, None, ctypes.c_uint(cores() + 1), ctypes.c_uint(0))
    until.wait()


def _libgomps() -> dict[str, ctypes.CDLL]:
    """Return the copies of libgomp in this process by path; torch and scikit-learn each load one."""
    if platform.system() != "Linux":
        return {}
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    paths = {line.split(maxsplit=5)[5] for line in lines if "/libgomp" in line}
    return {path: library for path in sorted(paths) if (library := _load(path)) is not None}


@cache
def _load(path: str) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(path)
        library.GOMP_parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    return library

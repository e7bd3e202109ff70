"""Busy-waiting of OpenMP threads, cut short while other programs want the same cores.

Threads of libgomp, which torch computes with, spin for milliseconds at the end of each parallel region. On a quiet
machine that is quickest. Beside a busy program a thread spins for another one that the system has set aside, and a
training step takes several to fifty times as long. libgomp spins a hundred turns only while a process has more OpenMP
threads than cores (its manual, GOMP_SPINCOUNT), so one more team of sleeping threads is kept as long as the process
waits for cores. Linux 6.12 and newer also give a thread that asks for short time slices its turn sooner, at no cost to
others: its share of a core stays the same. The threads that compute, and so the bits of each result, stay the same.
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

__all__ = ["Sharing", "how_threads_waited", "sharing_cores"]

USERS_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Environment variables by which a user decides how threads wait. Nothing is changed then."""
FIRST_S, EVERY_S = 0.1, 0.5
"""Seconds before the first look at the process's waiting, and between two looks."""
BUSY, QUIET = 0.3, 0.15
"""Seconds a second that the process's threads wait for a core: above BUSY they stop spinning, below QUIET they spin.
Measured on two cores: 0.02 to 0.07 on a quiet machine, 0.6 and more beside one busy program."""
SLICE_NS = 100_000
"""The shortest time slice that Linux gives."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Numbers of Linux's system call, which Python does not offer."""
SCHED_ATTR = struct.Struct("IIQiIQQQ")
"""Its argument: size, policy, flags, nice, priority, runtime (the slice), deadline, period."""
LOOKS_QUIET = 3
"""Quiet looks in a row after which threads spin again."""


class Sharing:
    """Watch how long this process waits for cores, and let its OpenMP threads spin only while it waits little."""

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
        ask_for_slices(SLICE_NS)  # threads that start later inherit it
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
        """Stop watching; threads spin again."""
        self._ended.set()
        self._watch.join()
        self._spin()
        ask_for_slices(0)

    def heed(self, waited: float) -> None:
        """Let threads sleep or spin: `waited` is the time that they waited for a core, in seconds for each second."""
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
    """Let OpenMP threads spin only while this process gets the cores that it asks for; None where nothing is done.

    Nothing is done where the user decided (`user_setting`), for one thread, without libgomp or Linux's scheduler
    figures. An inner block belongs to the outer one.
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


def how_threads_waited() -> dict[str, Any]:
    """Return what run.json says: who decides how threads wait, and the share of the time in which they did not spin."""
    setting = user_setting()
    if setting is not None:
        return {"decided_by": setting}
    if _current is None:
        return {"decided_by": "the OpenMP library"}
    return {"decided_by": "the load", "share_without_spinning": round(_current.share(), 3)}


def user_setting() -> str | None:
    """Return the environment variable by which the user decided how OpenMP threads wait, such as GOMP_SPINCOUNT=0."""
    return next((f"{name}={os.environ[name]}" for name in USERS_OWN if name in os.environ), None)


def ask_for_slices(nanoseconds: int) -> int:
    """Ask for time slices of this length for each thread of this process; 0 means the system's own.

    Return how many threads got them: none on another system than Linux, and before Linux 6.12 without effect.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    done = 0
    for thread in _threads():
        with suppress(OSError):  # the thread ended meanwhile
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            if os.sched_getscheduler(thread) != os.SCHED_OTHER:
                continue  # a user's own choice, such as `chrt --batch`
            attributes = SCHED_ATTR.pack(SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, nanoseconds, 0, 0)
            done += libc.syscall(number, thread, attributes, 0) == 0
    return done


def _threads() -> list[int]:
    """Return the system's numbers of this process's threads; none where it is not Linux."""
    try:
        return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    except OSError:
        return []


def run_delays() -> dict[int, int]:
    """Return for each thread of this process the nanoseconds that it was ready to run and had no core.

    Empty where the system does not say (Linux's /proc/self/task/*/schedstat).
    """
    delays = {}
    for thread in _threads():
        with suppress(OSError, IndexError, ValueError):  # the thread ended meanwhile
            delays[thread] = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1])
    return delays


def _keep_team(library: ctypes.CDLL, until: threading.Event) -> None:
    """Make this thread the first of a team of more threads than there are cores; they sleep until it ends."""
    nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL) does nothing, without Python's lock
    library.GOMP_parallel(nothing, None, ctypes.c_uint(cores() + 1), ctypes.c_uint(0))
    until.wait()


def _libgomps() -> dict[str, ctypes.CDLL]:
    """Return the copies of libgomp in this process by their paths; torch and scikit-learn each bring one."""
    if platform.system() != "Linux":
        return {}
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    paths = {line.split(maxsplit=5)[5] for line in lines if "/libgomp" in line}
    return {path: library for path in sorted(paths) if (library := _opened(path)) is not None}


@cache
def _opened(path: str) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(path)
        library.GOMP_parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    return library

"""Guard of torch engines in a forked process, which has none of OpenMP's threads and would wait for them forever."""

from __future__ import annotations

import os
from threading import Lock

import torch

__all__ = ["ForkGuard"]


class ForkGuard:
    """Guard that bounds torch to one thread in a fork of the process that made it; call `settle` before computing."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._locks: dict[int, Lock] = {}

    def settle(self) -> None:
        """Bound torch to one thread where this process is a fork."""
        if self._process != os.getpid():
            torch.set_num_threads(1)
            self._process = os.getpid()

    @property
    def lock(self) -> Lock:
        """Lock of this process: a thread of the parent that held its lock at the fork never releases it here."""
        return self._locks.setdefault(os.getpid(), Lock())

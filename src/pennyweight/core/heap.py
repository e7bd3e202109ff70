"""Memory that stays with the process: what one layer lets go of, the next one gets.

glibc hands blocks above 32 MB, and whatever is free at the end of its heap, back to the system, which clears every page
anew when it is asked for the next. Activations are such blocks, and that clearing is up to half of a training step.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["keeping_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""What `mallopt` calls them (malloc.h)."""

KEEPING = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
"""No block lies outside the heap, and the heap never shrinks."""

USUAL = ((MMAP_MAX, 65536), (MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20))
"""Where glibc's own thresholds end in a process that frees large blocks."""

_entered = 0


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Inside, the process keeps what it frees; at the end of the outermost block what is free goes back to the system.

    It takes no more than the most that was in use at once, and what lies between. Other allocators than glibc's are
    left as they are.
    """
    global _entered
    libc = _glibc()
    if libc is None:
        yield
        return
    _entered += 1
    _set(libc, KEEPING)
    try:
        yield
    finally:
        _entered -= 1
        if not _entered:
            _set(libc, USUAL)
            libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, options: tuple[tuple[int, int], ...]) -> None:
    for option, value in options:
        libc.mallopt(option, value)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None

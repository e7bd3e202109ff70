"""Keep freed memory in the process while a network computes, and return it at once while a file is opened.

glibc returns blocks above 32 MB, and free memory at the end of its heap, to the system, which clears every page before
it hands it out again. Activations are such blocks, and the clearing takes up to half of a training step.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["keeping_memory", "return_large_blocks", "returning_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt` (malloc.h)."""

KEEPING = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
"""Settings with which all blocks lie in the heap, and the heap never shrinks."""

RETURNING = ((MMAP_THRESHOLD, 128 << 10), (TRIM_THRESHOLD, 128 << 10))
"""Settings with which each block above 128 KiB goes back to the system when it is freed: glibc's before it adapts."""

USUAL = ((MMAP_MAX, 65536), (MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20))
"""Settings at which glibc's dynamic thresholds end in a process that frees large blocks."""
SERVING = ((MMAP_MAX, 65536), (MMAP_THRESHOLD, 4 << 20), (TRIM_THRESHOLD, 16 << 20))
"""Settings of a server: the pixels of a large picture go back to the system, and those of usual ones are used again."""

_entered = 0
_between = USUAL
"""Settings outside of the blocks below."""


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Keep freed memory in the process inside the block; return it to the system after the outermost block.

    The process then holds its peak use plus fragmentation. Other allocators than glibc's are not changed.
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
            _set(libc, _between)
            libc.malloc_trim(0)


@contextmanager
def returning_memory() -> Iterator[None]:
    """Return freed memory to the system inside the block at once, so that blocks freed in turn leave no gaps.

    Nothing changes inside `keeping_memory`, or with another allocator than glibc's.
    """
    libc = _glibc()
    if libc is None or _entered:
        yield
        return
    _set(libc, RETURNING)
    try:
        yield
    finally:
        if not _entered:  # another thread may have begun to compute
            _set(libc, _between)
            libc.malloc_trim(0)


def return_large_blocks() -> None:
    """Return blocks above 4 MiB to the system from now on, so that few large pictures leave no gaps in a server."""
    global _between
    libc = _glibc()
    if libc is not None:
        _between = SERVING
        if not _entered:
            _set(libc, SERVING)


def _set(libc: ctypes.CDLL, options: tuple[tuple[int, int], ...]) -> None:
    for option, value in options:
        libc.mallopt(option, value)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None

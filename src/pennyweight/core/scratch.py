"""Large arrays of intermediate values, which the system may write to disk instead of holding them in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pennyweight.core.cache import cache_folder, make_cache_folder

__all__ = ["scratch"]

LARGE = 64 << 20
"""Bytes from which on an array lies in a file."""


def scratch(shape: int | Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros; a large one lies in a file without a name, in the folder `scratch` of the cache.

    The file's space is reserved at once and freed with the array. An array whose file cannot be had lies in memory:
    without room on the disk, without a cache folder, and on systems that cannot reserve space.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if size < LARGE or not hasattr(os, "posix_fallocate"):
        return np.zeros(shape, kind)
    folder = cache_folder("scratch")
    try:
        make_cache_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, kind, "r+", shape=shape if isinstance(shape, int) else tuple(shape))
    except OSError:
        return np.zeros(shape, kind)

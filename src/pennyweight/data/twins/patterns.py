"""Sort descriptors by the fixed patterns that they resemble most, so that few pairs of a large set are compared.

Two similar descriptors have at least one of their most similar patterns in common. This is a locality-sensitive hash
for angles, as in Andoni et al. 2015 ("Practical and Optimal LSH for Angular Distance", arXiv:1509.02897), with random
directions in place of a rotated cross-polytope. The patterns do not depend on the pictures: whether a pair is compared
depends on the pair alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.views import CELLS, LENGTH

__all__ = ["NEAREST", "members_of_patterns"]

PATTERNS = 1024
NEAREST = 12
"""Patterns of a descriptor. With 12 of 1,024, one in six pairs is compared, and 99.8% of the similar ones."""
CHUNK = 4096


def members_of_patterns(descriptors: NDArray[np.int8]) -> list[NDArray[np.int64]]:
    """Return, for each pattern, the sorted numbers of the descriptors that resemble it; each number NEAREST times.

    Args:
        descriptors: (N, CELLS²).
    """
    nearest = np.empty((len(descriptors), NEAREST), np.int16)
    patterns = _patterns()
    for start in range(0, len(descriptors), CHUNK):
        part = slice(start, start + CHUNK)
        products = descriptors[part].astype(np.float32) @ patterns
        nearest[part] = np.argpartition(products, PATTERNS - NEAREST, axis=1)[:, -NEAREST:]
    order = np.argsort(nearest, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=PATTERNS))
    return np.split(order // NEAREST, ends[:-1])


@cache
def _patterns() -> NDArray[np.float32]:
    """Return whole numbers (CELLS², PATTERNS) of length LENGTH, the same in every version of numpy."""
    drawn = np.random.RandomState(0).standard_normal((CELLS**2, PATTERNS))
    drawn -= drawn.mean(axis=0)
    drawn *= LENGTH / np.linalg.norm(drawn, axis=0)
    return np.rint(drawn).astype(np.float32)

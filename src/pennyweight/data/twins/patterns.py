"""Sort descriptors by the fixed patterns that they resemble, so that few pairs of a large set are compared.

Two similar descriptors resemble a common pattern. This is a locality-sensitive filter, as in Becker et al. 2016 ("New
directions in nearest neighbor searching with applications to lattice sieving", SODA): random directions and their
opposites, and the descriptors whose product with them passes a level. The patterns do not depend on the pictures:
whether a pair is compared depends on the pair alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.views import CELLS, LENGTH

__all__ = ["PARTS", "members_of_patterns"]

DIRECTIONS = 2048
LEVEL = 2.65
"""Least product of a descriptor and a pattern that it resembles, in standard deviations of unrelated ones. A descriptor
resembles 15 of 4,096 patterns; one in fourteen pairs is compared, and 99.9% of the pairs of twins."""
PARTS = 16
"""Parts of the directions whose members are found at once, so that few are in memory."""
CHUNK = 512
"""Descriptors that are multiplied at once: their products are in the processor's cache."""


def members_of_patterns(descriptors: NDArray[np.int8], part: int) -> Iterator[NDArray[np.int32]]:
    """Yield, for each pattern of a part of them, the sorted numbers of the descriptors that resemble it.

    Args:
        descriptors: (N, CELLS²).
        part: Number of the part, below PARTS.
    """
    directions = _directions()[:, part::PARTS]
    level = np.float32(LEVEL * LENGTH**2 / np.sqrt(CELLS**2 - 1))
    sizes = np.empty((CHUNK, directions.shape[1]), np.float32)
    patterns, members = [], []
    for start in range(0, len(descriptors), CHUNK):
        products = descriptors[start : start + CHUNK].astype(np.float32) @ directions
        found = np.flatnonzero(np.abs(products, out=sizes[: len(products)]) >= level)
        number, direction = np.divmod(found, directions.shape[1])
        patterns.append((2 * direction + (products.ravel()[found] < 0)).astype(np.int16))
        members.append((number + start).astype(np.int32))
    every = np.concatenate(patterns or [np.empty(0, np.int16)])
    order = np.argsort(every, kind="stable")  # a radix sort, as the numbers are short
    ends = np.cumsum(np.bincount(every, minlength=2 * directions.shape[1]))
    yield from np.split(np.concatenate(members or [np.empty(0, np.int32)])[order], ends[:-1])


@cache
def _directions() -> NDArray[np.float32]:
    """Return whole numbers (CELLS², DIRECTIONS) of length LENGTH, the same in every version of numpy."""
    drawn = np.random.RandomState(0).standard_normal((CELLS**2, DIRECTIONS))
    drawn -= drawn.mean(axis=0)
    drawn *= LENGTH / np.linalg.norm(drawn, axis=0)
    return np.rint(drawn).astype(np.float32)

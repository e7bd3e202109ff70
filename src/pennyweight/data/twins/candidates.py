"""Find the pairs of pictures that may be twins: blocks of matrix products of small descriptors.

In a small set all descriptors are compared, in a large one those that resemble a common pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.patterns import PARTS, members_of_patterns
from pennyweight.data.twins.views import LENGTH

__all__ = ["MOST", "Candidates", "candidates"]

ALIKE = 0.68
"""Least correlation of a candidate's descriptors. It keeps 99.9% of made twins and 94% of time lapses."""
FEW = 4096
"""Most second pictures that are all compared."""
ROWS, COLUMNS = 1024, 512
"""Descriptors of a block: its products are in the processor's cache."""
ENOUGH = 1 << 18
"""Hits from which on those of a block are thinned out at once."""
MOST = 128
"""Most candidates that are kept of a first picture."""
Numbers: TypeAlias = NDArray[np.int64]


class Candidates(NamedTuple):
    """Pairs that may be twins, sorted by their pictures; a crowded picture keeps its MOST most alike."""

    pairs: Numbers
    """(P, 2)."""
    views: Numbers
    """(P,): the view of the second picture that resembles the first one most."""
    alike: NDArray[np.float32]
    """(P,): correlation of the descriptors, from ALIKE to 1."""


def candidates(
    middle: NDArray[np.int8],
    views: NDArray[np.int8],
    *,
    same: bool,
    advance: Callable[[int], None] = lambda count: None,
) -> Candidates:
    """Return the pairs whose descriptors correlate by at least ALIKE in any view.

    Args:
        middle: (N, CELLS²) descriptors of the first pictures in the middle view.
        views: (M, views, CELLS²) descriptors of the second pictures.
        same: Both are the same pictures: return pairs (a, b) with a < b alone.
        advance: Called with the number of first pictures whose candidates were found since the last call.
    """
    if not len(middle) or not len(views):
        return Candidates(np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    shown, every = views.shape[1], views.reshape(-1, views.shape[2])
    parts = 1 if len(views) <= FEW else PARTS
    found = []
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # each thread multiplies blocks of its own
        for part in range(parts):
            groups = [(np.arange(len(middle)), np.arange(len(every)))] if parts == 1 else _groups(middle, every, part)
            makes = (
                partial(_search, middle, every, rows[start : start + ROWS], columns, shown, same)
                for rows, columns in groups
                for start in range(0, len(rows), ROWS)
            )
            hits = [block for block, _ in prefetch(makes, 2 * cores(), threads=cores())]
            found.append(_most_alike(*_join([_NONE, *hits]), shown))
            advance(len(middle) * (part + 1) // parts - len(middle) * part // parts)
    first, column, product = _most_alike(*_join(found), shown)
    second, view = np.divmod(column, shown)
    return Candidates(np.stack([first, second], axis=1).astype(np.int64), view, product / np.float32(LENGTH**2))


def _groups(middle: NDArray[np.int8], every: NDArray[np.int8], part: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the sorted (rows, columns) of descriptors that resemble a pattern of a part of them."""
    yield from zip(members_of_patterns(middle, part), members_of_patterns(every, part), strict=True)


_Hits: TypeAlias = tuple[Numbers, Numbers, NDArray[np.float32]]
"""First pictures, columns of the second ones, and products."""
_NONE: _Hits = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


def _search(
    middle: NDArray[np.int8], every: NDArray[np.int8], rows: Numbers, columns: Numbers, shown: int, same: bool
) -> _Hits:
    """Return the candidates among some rows and columns."""
    if same:
        columns = columns[np.searchsorted(columns, (rows[0] + 1) * shown) :]
    factor = middle[rows].astype(np.float32)
    hits = [_NONE]
    for left in range(0, len(columns), COLUMNS):
        some = columns[left : left + COLUMNS]
        earlier = np.searchsorted(rows, some[-1] // shown) if same else len(rows)
        products = factor[:earlier] @ every[some].astype(np.float32).T
        row, column = np.divmod(np.flatnonzero(products >= ALIKE * LENGTH**2), len(some))
        hits.append((rows[row], some[column], products[row, column]))
    first, column, product = _join(hits)
    if same:
        later = column // shown > first
        first, column, product = first[later], column[later], product[later]
    return (first, column, product) if len(first) < ENOUGH else _most_alike(first, column, product, shown)


def _join(hits: Sequence[_Hits]) -> _Hits:
    first, column, product = zip(*hits, strict=True)
    return np.concatenate(first), np.concatenate(column), np.concatenate(product)


def _most_alike(first: Numbers, column: Numbers, product: NDArray[np.float32], shown: int) -> _Hits:
    """Keep the most alike view of each pair, and of each first picture MOST pairs; sort them by their pictures."""
    if not len(first):
        return first, column, product
    key = (first.astype(np.int64) << 32) + column
    order = np.argsort(key)  # equal keys are the same view of the same pair
    pair_of = (first[order].astype(np.int64) << 32) + column[order] // shown
    is_new = np.append(True, np.diff(pair_of) != 0)
    pair = np.cumsum(is_new) - 1
    best = np.flatnonzero(product[order] == np.maximum.reduceat(product[order], np.flatnonzero(is_new))[pair])
    order = order[best[np.append(True, np.diff(pair[best]) != 0)]]
    if len(order) > MOST and (np.bincount(first[order]) > MOST).any():
        ranked = order[np.lexsort((column[order], -product[order], first[order]))]
        starts = np.searchsorted(first[ranked], first[ranked])
        kept = ranked[np.arange(len(ranked)) - starts < MOST]
        order = kept[np.lexsort((column[kept], first[kept]))]
    return first[order], column[order], product[order]

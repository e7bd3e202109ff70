"""Find the pairs of pictures that may be twins: blocks of matrix products of small descriptors.

A descriptor is the middle of a coarsely normalized thumbnail in CELLS×CELLS cells. One picture of a pair is described
in the middle alone, the other one in several views: shifted, zoomed and mirrored. Descriptors are whole numbers whose
products stay below 2**24, so that the sums are exact in float32: blocks, threads and processors change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.normalize import CHUNK, COARSE, normalize
from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["VIEWS", "Candidates", "View", "candidates", "describe"]

CELLS = 8
MARGIN = 2.0
"""Pixels of SIDE at each border that the middle view leaves out, so that a shifted view has them to show."""
LENGTH = 2000
"""Euclidean length of a descriptor; its square is below 2**24."""
ALIKE = 0.68
"""Least correlation of a candidate's descriptors. It keeps 98% of made twins; see the decision about twins."""
ROWS, COLUMNS = 512, 2048
"""Pictures of a block: its products are in the processor's cache."""
MOST = 128
"""Most candidates that are kept of a first picture."""


class View(NamedTuple):
    """Part of a thumbnail that stands for the middle of another one; lengths are in pixels of SIDE."""

    down: float
    right: float
    inward: float
    """Further margin at each border: positive shows less, larger."""
    mirrored: bool


VIEWS = (
    *(View(0, 0, inward, mirrored) for mirrored in (False, True) for inward in (0.0, 1.6, -1.6)),
    *(View(down, right, 0, False) for down in (2, -2) for right in (2, -2)),
)
"""The first view is the middle. Mirrored copies are seldom shifted as well."""


class Candidates(NamedTuple):
    """Pairs that may be twins, sorted by their pictures; a crowded picture keeps its MOST most alike."""

    pairs: NDArray[np.int64]
    """(P, 2)."""
    views: NDArray[np.int64]
    """(P,): the view of the second picture that resembles the first one most."""
    counts: NDArray[np.int64]
    """(N,): candidates of each first picture, those that are not kept too."""


def describe(gray: NDArray[np.uint8], views: tuple[View, ...]) -> NDArray[np.int16]:
    """Return the descriptors of thumbnails (N, SIDE, SIDE) in each view: (views, N, CELLS²) of length LENGTH."""
    made = np.empty((len(views), len(gray), CELLS**2), np.int16)
    matrices = [_cells(view) for view in views]
    for start in range(0, len(gray), CHUNK):
        part = slice(start, start + CHUNK)
        values = normalize(gray[part], COARSE).reshape(-1, SIDE**2)
        for number, matrix in enumerate(matrices):
            cells = values @ matrix
            cells -= cells.mean(axis=1, keepdims=True)
            length = np.linalg.norm(cells, axis=1, keepdims=True)
            made[number, part] = np.rint(cells * (LENGTH / np.maximum(length, 1e-9)))
    return made


def _cells(view: View) -> NDArray[np.floating]:
    """Return the matrix (SIDE², CELLS²) of the means over the cells of a view."""
    margin = MARGIN + view.inward
    down = _means(margin + view.down, SIDE - margin + view.down)
    right = _means(margin + view.right, SIDE - margin + view.right)
    if view.mirrored:
        right = right[:, ::-1]
    return np.kron(down, right).T


def _means(low: float, high: float) -> NDArray[np.floating]:
    """Return the matrix (CELLS, SIDE) of the means over CELLS equal parts of the pixels low..high."""
    edges = np.linspace(low, high, CELLS + 1)
    pixel = np.arange(SIDE)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: NDArray[np.floating] = np.clip(covered, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def candidates(
    middle: NDArray[np.int16],
    views: NDArray[np.int16],
    *,
    same: bool,
    advance: Callable[[int], None] = lambda count: None,
) -> Candidates:
    """Return the pairs whose descriptors correlate by at least ALIKE in any view.

    Args:
        middle: (N, CELLS²) descriptors of the first pictures in the middle view.
        views: (views, M, CELLS²) descriptors of the second pictures.
        same: Both are the same pictures: return pairs (a, b) with a < b alone.
        advance: Called with the number of first pictures of each finished block of rows.
    """
    if not views.shape[1]:
        return _NONE._replace(counts=np.zeros(len(middle), np.int64))
    starts = range(0, len(middle), ROWS)
    makes = (partial(_search_rows, middle, views, start, same) for start in starts)
    blocks = [_NONE]
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # each thread multiplies blocks of its own
        for block, _ in prefetch(makes, cores(), threads=cores()):
            blocks.append(block)
            advance(len(block.counts))
    return Candidates(*map(np.concatenate, zip(*blocks, strict=True)))


_NONE = Candidates(np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def _search_rows(middle: NDArray[np.int16], views: NDArray[np.int16], start: int, same: bool) -> Candidates:
    rows = middle[start : start + ROWS].astype(np.float32)
    firsts, seconds, products = [], [], []
    for left in range(start if same else 0, views.shape[1], COLUMNS):
        best = _best(rows, views[:, left : left + COLUMNS])
        first, second = np.divmod(np.flatnonzero(best >= ALIKE * LENGTH**2), best.shape[1])
        if same and left < start + ROWS:
            later = second + left > first + start
            first, second = first[later], second[later]
        firsts.append(first)
        seconds.append(second + left)
        products.append(best[first, second])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    counts = np.bincount(first, minlength=len(rows))
    kept = _most_alike(first, second, np.concatenate(products), counts)
    pairs = np.stack([first[kept], second[kept]], axis=1)
    seen = np.einsum("pc,vpc->vp", rows[pairs[:, 0]], views[:, pairs[:, 1]].astype(np.float32))
    return Candidates(pairs + np.array([start, 0]), seen.argmax(axis=0), counts)


def _most_alike(
    first: NDArray[np.int64], second: NDArray[np.int64], product: NDArray[np.float32], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the numbers of the pairs to keep, sorted by their pictures: at most MOST of each first picture."""
    crowded = counts > MOST
    some = np.flatnonzero(crowded[first])
    some = some[np.lexsort((second[some], -product[some], first[some]))]
    place = np.arange(len(some)) - np.repeat((np.cumsum(counts * crowded) - counts)[crowded], counts[crowded])
    kept = np.concatenate([np.flatnonzero(~crowded[first]), some[place < MOST]])
    return kept[np.lexsort((second[kept], first[kept]))]


def _best(rows: NDArray[np.float32], views: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the largest product of each pair over all views, (rows, columns)."""
    best: NDArray[np.float32] = rows @ views[0].T.astype(np.float32)
    product = np.empty_like(best)
    for view in views[1:]:
        np.matmul(rows, view.T.astype(np.float32), out=product)
        np.maximum(best, product, out=best)
    return best

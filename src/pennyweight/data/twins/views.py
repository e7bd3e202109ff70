"""Describe pictures by the means of a few cells, in several views.

A descriptor is the middle of a coarsely normalized thumbnail in CELLS×CELLS cells. One picture of a pair is described
in the middle alone, the other one in several views: shifted, zoomed and mirrored. Descriptors are whole numbers whose
products stay below 2**24, so that the sums are exact in float32: blocks, threads and processors change nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.normalize import CHUNK
from pennyweight.data.twins.thumbnails import SIDE

__all__ = ["CELLS", "LENGTH", "MARGIN", "VIEWS", "View", "describe"]

CELLS = 8
MARGIN = 2.0
"""Pixels of SIDE at each border that the middle view leaves out, so that a shifted view has them to show."""
LENGTH = 250
"""Euclidean length of a descriptor. Its numbers fit into a byte, which changes a correlation by 0.002."""


class View(NamedTuple):
    """Part of a thumbnail that stands for the middle of another one; lengths are in pixels of SIDE."""

    down: float
    right: float
    inward: float
    """Further margin at each border: positive shows less, larger."""
    mirrored: bool


VIEWS = (
    View(0, 0, 0, False),
    View(0, 0, 0, True),
    *(View(0, 0, inward, False) for inward in (1.6, -1.6)),
    *(View(down, right, 0, False) for down, right in ((0, 3), (0, -3), (3, 0), (-3, 0))),
    *(View(down, right, 0, False) for side in (1.5, 3) for down in (side, -side) for right in (side, -side)),
)
"""The first view is the middle. A picture that is shifted by an eighth of its width and height, or cropped to 80%, is
near one of the others; mirrored copies are seldom shifted as well."""


def describe(coarse: NDArray[np.int8], numbers: NDArray[np.int64], views: tuple[View, ...]) -> NDArray[np.int8]:
    """Return descriptors of some pictures in each view.

    Args:
        coarse: (N, SIDE, SIDE) thumbnails, coarsely normalized.
        numbers: Numbers of M pictures.
        views: V views.

    Returns:
        (M, V, CELLS²) of length LENGTH.
    """
    made = np.empty((len(numbers), len(views), CELLS**2), np.int8)
    matrices = [_cells(view) for view in views]
    for start in range(0, len(numbers), CHUNK):
        part = slice(start, start + CHUNK)
        values = coarse[numbers[part]].reshape(-1, SIDE**2).astype(np.float32)
        for number, matrix in enumerate(matrices):
            cells = values @ matrix
            cells -= cells.mean(axis=1, keepdims=True)
            cells *= LENGTH / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), np.float32(1e-6))
            made[part, number] = np.rint(np.clip(cells, -127, 127, out=cells))
    return made


def _cells(view: View) -> NDArray[np.float32]:
    """Return the matrix (SIDE², CELLS²) of the means over the cells of a view."""
    margin = MARGIN + view.inward
    down = _means(margin + view.down, SIDE - margin + view.down)
    right = _means(margin + view.right, SIDE - margin + view.right)
    if view.mirrored:
        right = right[:, ::-1]
    return np.kron(down, right).T.astype(np.float32)


def _means(low: float, high: float) -> NDArray[np.floating]:
    """Return the matrix (CELLS, SIDE) of the means over CELLS equal parts of the pixels low..high."""
    edges = np.linspace(low, high, CELLS + 1)
    pixel = np.arange(SIDE)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: NDArray[np.floating] = np.clip(covered, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights

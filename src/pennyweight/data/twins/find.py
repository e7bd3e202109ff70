"""Find twins, pictures that show the same moment, and tell them from pictures that all look alike.

Pairs whose small descriptors correlate (`candidates`) are aligned and compared (`alignment`). Scores of twins are high,
and those of different things low: few pairs lie in between. Where many do, as for digits on white or microscopy, the
score cannot tell the same moment from the same kind of thing, and those pictures are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.data.twins.alignment import align_and_score
from pennyweight.data.twins.candidates import MOST, VIEWS, Candidates, candidates, describe
from pennyweight.data.twins.normalize import FINE, count_shapes, normalize

__all__ = ["TWIN", "Twins", "find_twins"]

TWIN = 0.65
"""Least score of twins. See the decision about twins for its recall and its false pairs."""
BETWEEN = 0.5
"""Scores from here to TWIN are those of pictures that look alike and may be anything."""
FEW = 3
"""Pairs between that a cluster may always have."""
LEAST_SHAPES = 20.0
"""Independent shapes of a picture that is compared; with fewer, different pictures can be aligned to equality."""
LEAST_CONTRAST = 0.02
"""Mean square of the finely normalized thumbnail, of at most 1; below it a picture is nothing but noise."""
SURE = 6.0
"""Least significance of twins: deviations of Fisher's transform of the score from 0, for their independent shapes."""
FREE = 6
"""Parameters of the alignment, which fit as many shapes."""
SAMPLED = 8
"""Candidates of a crowded picture that are compared first."""
CHUNK = 256

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Twins:
    """Pairs of pictures that show the same moment."""

    pairs: Pairs
    """(P, 2): numbers a < b of one set, or a of the first and b of the second set; sorted."""
    scores: NDArray[np.float32]
    """(P,) from TWIN to 1: correlation after alignment."""
    unsure: NDArray[np.bool_]
    """(N,): pictures of the first set that look like too many others; no pair has them."""
    plain: NDArray[np.bool_]
    """(N,): pictures of the first set without shapes to compare; no pair has them."""
    reason: str | None = None
    """Line that says why twins are not known of the unsure pictures."""

    def clusters(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Return the clusters of a set of `count` pictures, two or more numbers each, sorted; twins chain."""
        return tuple(map(tuple, _components(self.pairs, count)))


def find_twins(
    gray: NDArray[np.uint8],
    *,
    against: NDArray[np.uint8] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Twins:
    """Find the twins within a set of pictures, or between two sets.

    Twins are saved again, cropped to 90%, shifted by a tenth, brighter, mirrored, turned by 5° or frames of a burst.

    Args:
        gray: (N, SIDE, SIDE) thumbnails.
        against: (M, SIDE, SIDE) thumbnails of the second set; None compares the first set with itself.
        advance: Called with the number of pictures of `gray` whose candidates are known.

    Returns:
        Twins; the same for the same thumbnails on every machine.
    """
    same = against is None
    first = _side(gray)
    second = first if against is None else _side(against)
    views = describe(second.gray[second.compared], VIEWS)
    middle = views[0] if same else describe(gray[first.compared], VIEWS[:1])[0]
    return _decide(candidates(middle, views, same=same, advance=advance), first, second, same=same)


def _decide(
    found: Candidates,
    first: _Side,
    second: _Side,
    *,
    same: bool,
) -> Twins:
    pairs = np.stack([first.compared[found.pairs[:, 0]], second.compared[found.pairs[:, 1]]], axis=1)
    offset = 0 if same else len(first.gray)
    nodes, count = pairs + np.array([0, offset]), offset + len(second.gray)
    crowd = np.zeros(count, np.int64)
    crowd[first.compared] += found.counts[0]
    crowd[second.compared + offset] += found.counts[1]
    unsure = _unsure_crowd(
        nodes, crowd > MOST, lambda some: _score(first.gray, second.gray, pairs[some], found.views[some])
    )
    kept = ~unsure[nodes].any(axis=1)
    pairs, nodes, views = pairs[kept], nodes[kept], found.views[kept]
    scores = _score(first.gray, second.gray, pairs, views)
    twin = scores >= _least_score(np.minimum(first.shapes[pairs[:, 0]], second.shapes[pairs[:, 1]]))
    unsure |= _unsure_clusters(nodes, twin, ~twin & (scores >= BETWEEN), count)
    twin &= ~unsure[nodes].any(axis=1)
    pairs, scores = pairs[twin], scores[twin]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    left_out = unsure[: len(first.gray)]
    return Twins(pairs[order], scores[order], left_out, first.plain, _reason(int(left_out.sum()), len(first.gray)))


class _Side(NamedTuple):
    """Pictures of a set."""

    gray: NDArray[np.uint8]
    shapes: NDArray[np.float64]
    """(N,) independent shapes."""
    plain: NDArray[np.bool_]

    @property
    def compared(self) -> NDArray[np.int64]:
        """Return the numbers of the pictures that are not plain."""
        return np.flatnonzero(~self.plain)


def _side(gray: NDArray[np.uint8]) -> _Side:
    shapes, contrast = np.empty(len(gray)), np.empty(len(gray))
    for start in range(0, len(gray), CHUNK):
        part = slice(start, start + CHUNK)
        shapes[part] = count_shapes(gray[part])
        contrast[part] = np.square(normalize(gray[part], FINE)).mean(axis=(1, 2))
    return _Side(gray, shapes, (shapes < LEAST_SHAPES) | (contrast < LEAST_CONTRAST))


def _least_score(shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least score of twins with so many independent shapes."""
    return np.maximum(TWIN, np.tanh(SURE / np.sqrt(shapes - FREE)))


def _score(
    gray: NDArray[np.uint8], second: NDArray[np.uint8], pairs: Pairs, views: NDArray[np.int64]
) -> NDArray[np.float32]:
    def make(start: int) -> Callable[[], NDArray[np.float32]]:
        part = slice(start, start + CHUNK)
        return lambda: align_and_score(gray[pairs[part, 0]], second[pairs[part, 1]], views[part])

    makes = (make(start) for start in range(0, len(pairs), CHUNK))
    scores = [part for part, _ in prefetch(makes, 2 * cores(), threads=cores())]
    return np.concatenate(scores or [np.empty(0, np.float32)])


def _unsure_crowd(
    nodes: Pairs, crowded: NDArray[np.bool_], score: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return the crowded pictures of whose candidates, sampled evenly, many look alike."""
    if not crowded.any():
        return crowded
    sides = np.concatenate([nodes[:, 0], nodes[:, 1]])
    order = np.argsort(sides, kind="stable")
    order = order[crowded[sides[order]]]
    counts = np.bincount(sides[order], minlength=len(crowded))
    place = np.arange(len(order)) - np.repeat((np.cumsum(counts) - counts)[crowded], counts[crowded])
    many = counts[sides[order]]
    drawn = (place * SAMPLED) // many != ((place - 1) * SAMPLED) // many
    some = np.unique(order[drawn] % len(nodes))
    alike = score(some) >= BETWEEN
    tried = np.bincount(nodes[some].ravel(), minlength=len(crowded))
    like = np.bincount(nodes[some[alike]].ravel(), minlength=len(crowded))
    return crowded & (like * 4 > tried)


def _unsure_clusters(
    nodes: Pairs, twin: NDArray[np.bool_], between: NDArray[np.bool_], count: int
) -> NDArray[np.bool_]:
    """Return the pictures of clusters that have more pairs of doubtful than of sure likeness."""
    unsure = np.zeros(count, np.bool_)
    cluster = np.full(count, -1)
    for number, members in enumerate(clusters := _components(nodes[twin], count)):
        cluster[members] = number
    size = len(clusters) + 1  # the last row is that of pictures without a cluster
    sure = np.bincount(cluster[nodes[twin, 0]], minlength=size)
    own, other = cluster[nodes[between]].T
    doubtful = np.bincount(own % size, minlength=size) + np.bincount(other[own != other] % size, minlength=size)
    bad = doubtful[:-1] > np.maximum(sure[: size - 1], FEW)
    unsure[cluster >= 0] = bad[cluster[cluster >= 0]]
    return unsure


def _components(pairs: Pairs, count: int) -> list[list[int]]:
    """Return the connected components of two or more nodes, each sorted, in the order of their first nodes."""
    root = np.arange(count)

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = int(root[node])
        return node

    for a, b in pairs.tolist():
        a, b = find(a), find(b)
        root[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = {}
    for node in np.unique(pairs).tolist():
        members.setdefault(find(node), []).append(node)
    return [members[first] for first in sorted(members)]


def _reason(unsure: int, count: int) -> str | None:
    if not unsure:
        return None
    return (
        f"{unsure:,} of {count:,} pictures look alike so much that twins cannot be told apart; `--group-by` keeps "
        "pictures of one scene, patient or film in one split"
    )

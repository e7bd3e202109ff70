"""Find twins: pictures that show the same moment, such as copies saved again, crops and frames of a burst.

Pairs whose small descriptors correlate (`candidates`) are aligned and compared (`compare`). Where pictures look alike
too widely to tell twins from their kind (`clusters`, `chains`), they are left out, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.twins.candidates import candidates
from pennyweight.data.twins.chains import chained_clusters
from pennyweight.data.twins.clusters import Flags, Pairs, components, doubtful_clusters
from pennyweight.data.twins.compare import NOTHING, score
from pennyweight.data.twins.crowds import BETWEEN, find_crowds
from pennyweight.data.twins.normalize import Floats
from pennyweight.data.twins.side import LEAST_SHAPES, Side, least_score
from pennyweight.data.twins.views import VIEWS, describe

__all__ = ["Twins", "find_twins"]

DIP = 0.16
"""Largest distance of the correlation of two descriptors of twins below the score that is needed."""
NEAREST = 8
"""Pairs of a picture in a cluster, besides its twins, that are compared to find doubtful clusters."""
KIND_SHARE = 0.5
"""Share of the pictures that look alike too widely, above which no pair of the others is told apart."""
LEAP = 31
"""Distance of the pixels that decide the order of comparison, so that it does not depend on the names of the files."""


@dataclass(frozen=True)
class Twins:
    """Pairs of pictures that show the same moment."""

    pairs: Pairs
    """(P, 2): numbers a < b of one set, or a of the first and b of the second set; sorted."""
    scores: NDArray[np.float32]
    """(P,) from TWIN to 1: correlation after alignment."""
    unsure: Flags
    """(N,): pictures of the first set that look like too many others; they are in no pair."""
    plain: Flags
    """(N,): pictures of the first set with too few shapes to compare; they are in no pair."""
    reason: str | None = None
    """Line for the user that says why the twins of unsure and plain pictures are unknown; None if there are none."""

    @property
    def untold(self) -> Flags:
        """Return a mask of the pictures of the first set whose twins cannot be told, (N,)."""
        return self.unsure | self.plain

    def clusters(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Return the clusters within a set of `count` pictures, two or more numbers each, sorted; twins chain."""
        return tuple(tuple(members) for members in components(self.pairs) if members[0] < count)


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
        advance: Called with the number of pictures of `gray` whose candidates were found since the last call.

    Returns:
        Twins; the same for the same thumbnails, in whatever order within a set and in whatever number of threads.
    """
    if against is not None:
        return _find(gray, against, advance)
    order = np.lexsort(gray.reshape(len(gray), -1)[:, ::-LEAP].T) if len(gray) else np.empty(0, np.int64)
    found = _find(gray[order], None, advance)
    pairs = np.sort(order[found.pairs], axis=1)
    rows = np.lexsort((pairs[:, 1], pairs[:, 0]))
    place = np.argsort(order)
    return replace(
        found, pairs=pairs[rows], scores=found.scores[rows], unsure=found.unsure[place], plain=found.plain[place]
    )


def _find(gray: NDArray[np.uint8], against: NDArray[np.uint8] | None, advance: Callable[[int], None]) -> Twins:
    first = Side.of(gray)
    second = first if against is None else Side.of(against)
    crowds = find_crowds(first, second)
    first = first.without(crowds.unsure | crowds.still)
    second = first if against is None else second
    views = describe(second.coarse, second.compared, VIEWS)
    middle = views[:, 0] if against is None else describe(first.coarse, first.compared, VIEWS[:1])[:, 0]
    found = candidates(middle, views, same=against is None, advance=advance)
    pairs = np.stack([first.compared[found.pairs[:, 0]], second.compared[found.pairs[:, 1]]], axis=1)
    least = least_score(first, second, pairs)
    scores = np.full(len(pairs), NOTHING, np.float32)

    def compare(which: Flags, needed: Floats, enough: Floats | None = None) -> None:
        some = None if enough is None else enough[which]
        scores[which] = score(first, second, pairs[which], found.views[which], needed[which], some)

    compare(found.alike >= least - DIP, least)
    twin = scores >= least
    nodes = np.array([0, 0 if against is None else len(gray)])  # numbers of the second set come after the first one's
    in_clusters = np.concatenate([pairs[twin], crowds.pairs]) + nodes
    between = np.full(len(pairs), BETWEEN)
    compare(_nearest(pairs + nodes, ~twin, found.alike, in_clusters), between, between)
    pairs, scores = np.concatenate([pairs, crowds.pairs]), np.concatenate([scores, crowds.scores])
    twin = np.append(twin, np.ones(len(crowds.pairs), np.bool_))
    count = len(gray) if against is None else len(gray) + len(against)
    doubtful = doubtful_clusters(pairs + nodes, twin, (scores >= BETWEEN) & ~twin, count)
    doubtful |= chained_clusters(first, second, (pairs + nodes)[twin])
    if crowds.unsure.sum() > KIND_SHARE * len(gray):  # of one kind: what is left is no better known
        compared = np.arange(len(pairs)) < len(found.pairs)
        doubtful[(pairs + nodes)[twin & compared]] = True
    twin &= ~doubtful[pairs + nodes].any(axis=1)
    pairs, places = np.unique(pairs[twin], axis=0, return_index=True)
    unsure = crowds.unsure | doubtful[: len(gray)]
    plain = first.shapes < LEAST_SHAPES
    shown = plain & gray.any(axis=(1, 2))  # a picture that cannot be read is black, and another line says so
    reason = _reason(int(unsure.sum()), int(shown.sum()), len(unsure))
    return Twins(pairs, scores[twin][places], unsure, plain, reason)


def _nearest(pairs: Pairs, which: Flags, alike: NDArray[np.float32], of: Pairs) -> Flags:
    """Return those of some pairs that are among the NEAREST most alike of a picture `of` a cluster."""
    order = np.flatnonzero(which)
    order = order[np.argsort(-alike[order], kind="stable")]
    ends = pairs[order].ravel()
    places = np.flatnonzero(np.isin(ends, of))
    places = places[np.argsort(ends[places], kind="stable")]
    ranks = np.arange(len(places)) - np.searchsorted(ends[places], ends[places])
    nearest = np.zeros(len(pairs), np.bool_)
    nearest[order[places[ranks < NEAREST] // 2]] = True
    return nearest


def _reason(unsure: int, plain: int, count: int) -> str | None:
    if unsure:
        said = f"{unsure:,} of {count:,} pictures look alike so widely that twins cannot be told apart"
        said += f", and {plain:,} have too few shapes to be compared" if plain else ""
    elif plain:
        said = f"{plain:,} of {count:,} pictures have too few shapes to be compared: their twins are unknown"
    else:
        return None
    return f"{said}; --group-by keeps pictures of one scene, patient or film in one split"

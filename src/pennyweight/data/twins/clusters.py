"""Join pairs of twins to clusters, and find the pictures that look alike too widely to be twins.

The scores of twins are high, and those of different things low: few pairs lie between. Where pictures are all of one
kind, such as digits on white or cells under a microscope, many pairs lie between, and the score cannot tell the same
moment from the same kind of thing.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Flags", "Pairs", "components", "doubtful_clusters"]

Pairs: TypeAlias = NDArray[np.int64]
"""(P, 2) numbers of pictures."""
Flags: TypeAlias = NDArray[np.bool_]

FEW = 3
"""Pairs between, or other clusters and pictures that look alike, which a cluster may always have."""
HUGE, HUGE_SHARE = 32, 0.5
"""Pictures of a cluster, and their share of the set, above which no split could keep it together."""


def components(pairs: Pairs) -> list[list[int]]:
    """Return the connected components of pairs, each sorted, in the order of their first numbers; twins chain."""
    nodes, edges = np.unique(pairs, return_inverse=True)
    root = list(range(len(nodes)))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for a, b in edges.reshape(-1, 2).tolist():
        a, b = find(a), find(b)
        root[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = {}
    for node, number in enumerate(nodes.tolist()):
        members.setdefault(find(node), []).append(number)
    return list(members.values())


def doubtful_clusters(pairs: Pairs, twin: Flags, between: Flags, count: int) -> Flags:
    """Return the pictures, of `count`, in clusters that are huge, or that look like too much else.

    Pairs between within a cluster count one by one. The pairs between two clusters count as one, however many frames
    these have: two recordings of similar scenes resemble each other once.
    """
    place = np.arange(count)
    members = components(pairs[twin])
    for cluster in members:
        place[cluster] = cluster[0]
    sizes = np.ones(count, np.int64)
    sizes[[cluster[0] for cluster in members]] = [len(cluster) for cluster in members]
    sure = np.bincount(place[pairs[twin, 0]], minlength=count)
    own, other = place[pairs[between]].T
    inside = np.bincount(own[own == other], minlength=count)
    apart = np.sort(np.stack([own, other], axis=1)[own != other], axis=1)
    outside = np.bincount(np.unique(apart, axis=0).ravel(), minlength=count)
    doubtful = inside + outside > np.maximum(sure, FEW)
    bad = (sizes > 1) & (doubtful | (sizes > max(HUGE, HUGE_SHARE * count)))
    left_out: Flags = bad[place]
    return left_out

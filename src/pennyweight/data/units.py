"""Units of pictures that no split and no fold divides: equal pictures, groups and twins."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pennyweight.data.source import Sample

__all__ = ["Unit", "in_order", "units_of"]


@dataclass(frozen=True)
class Unit:
    """Samples that stay in one split, or in one fold: equal pictures, pictures of one group, and twins."""

    samples: tuple[Sample, ...]
    place: float
    """Number in [0, 1) that decides the split."""

    @property
    def labels(self) -> set[int]:
        """Return the classes of the samples."""
        return {sample.label for sample in self.samples}


def in_order(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the samples by class and content, so that equal sources train alike, however they list their pictures."""
    return tuple(sorted(samples, key=lambda sample: (sample.label, sample.digest)))


def units_of(samples: Sequence[Sample], clusters: Mapping[str, str]) -> list[Unit]:
    """Join samples with equal contents, groups or clusters into units, in the order of their places.

    Args:
        samples: The samples.
        clusters: Name of the cluster of each picture with twins, by its digest.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for sample in samples:
        if sample.group is not None:
            parent[root(sample.digest)] = root(f"group {sample.group}")
        if sample.digest in clusters:
            parent[root(sample.digest)] = root(f"twins {clusters[sample.digest]}")
    joined: dict[str, list[Sample]] = defaultdict(list)
    for sample in in_order(samples):
        joined[root(sample.digest)].append(sample)
    units = [Unit(tuple(members), _unit_place(members, clusters)) for members in joined.values()]
    return sorted(units, key=lambda unit: (unit.place, min(sample.digest for sample in unit.samples)))


def _unit_place(members: Sequence[Sample], clusters: Mapping[str, str]) -> float:
    """Return the place of one of the members.

    Of twins, the least of hashes chooses it, because the least of places would lie in the test split for most clusters
    of many pictures. A new twin then moves a cluster of n pictures with probability 1 / (n + 1) at most.
    """
    if len(members) == 1 or not any(sample.digest in clusters for sample in members):
        return min(map(_place, members))
    return _place(min(members, key=lambda sample: hashlib.sha256((sample.group or sample.digest).encode()).digest()))


def _place(sample: Sample) -> float:
    """Return a number in [0, 1) from the group's name, which more pictures do not change, else from the content."""
    if sample.group is None:
        return sample.place
    return int(hashlib.sha256(sample.group.encode()).hexdigest()[:16], 16) / 16**16

"""ImageNet accuracy of candidates before any training: published, or interpolated over width, depth and input size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import zoo
from pennyweight.search.space import Candidate

__all__ = ["INTERPOLATED", "PUBLISHED", "PriorAccuracy", "Priors", "family_of", "published_top1"]

PUBLISHED, INTERPOLATED = "published", "interpolated"
Array = NDArray[np.float64]
Measured = Mapping[float, Mapping[int, float]]

# Top-1 accuracy in % of networks whose authors published several widths and input sizes: width -> side in pixels -> %.
# MobileNetV1: the authors' table of checkpoints (arXiv:1704.04861 has the first row within 1 point).
# MobileNetV2: the authors' table of checkpoints (arXiv:1801.04381, Fig. 5, draws it).
BY_SIZE: Mapping[str, Measured] = {
    "mobilenet_v1": {
        1.0: {224: 70.9, 192: 70.0, 160: 68.0, 128: 65.2},
        0.75: {224: 68.4, 192: 67.2, 160: 65.3, 128: 62.1},
        0.5: {224: 63.3, 192: 61.7, 160: 59.1, 128: 56.3},
        0.25: {224: 49.8, 192: 47.7, 160: 45.5, 128: 41.5},
    },
    "mobilenet_v2": {
        1.4: {224: 75.0},
        1.3: {224: 74.4},
        1.0: {224: 71.8, 192: 70.7, 160: 68.8, 128: 65.3, 96: 60.3},
        0.75: {224: 69.8, 192: 68.7, 160: 66.4, 128: 63.2, 96: 58.8},
        0.5: {224: 65.4, 192: 63.9, 160: 61.0, 128: 57.7, 96: 51.2},
        0.35: {224: 60.3, 192: 58.2, 160: 55.7, 128: 50.8, 96: 45.5},
    },
}
RIDGE, FAMILY_RIDGE = 0.01, 0.3
"""Penalties on the slopes, and on what sets one family apart from the others."""


BEYOND = (4.0, 4.0, 3.0)
"""Factor between parameters, MACs or side of a network and the published ones, beyond which nothing is known of it."""


class PriorAccuracy(NamedTuple):
    """Top-1 accuracy on ImageNet that a network is expected to reach."""

    accuracy: float
    """0 to 1."""
    error: float
    """Distance that 95% of published networks keep from what is interpolated without them; 0 for a published one."""
    kind: str
    """PUBLISHED or INTERPOLATED."""


class Row(NamedTuple):
    """Published accuracy, with what the regression knows of the network."""

    candidate: Candidate
    params: int
    macs: int
    top1: float
    """In %."""


def _rows(count: Callable[[Candidate], tuple[int, int]]) -> list[Row]:
    """Return every published accuracy of a network for pictures."""
    found = []
    for family in zoo.FAMILIES:
        for name, row in family.variants.items():
            if row.top1 is not None and row.input_shape[0] == 3 and not name.startswith(tuple(BY_SIZE)):
                candidate = Candidate(name, {}, row.input_shape[-1], "")
                found.append(Row(candidate, row.params, row.macs, row.top1))
    for name, widths in BY_SIZE.items():
        for width, sizes in widths.items():
            for size, top1 in sizes.items():
                candidate = Candidate(name, {} if width == 1.0 else {"width": width}, size, "")
                found.append(Row(candidate, *count(candidate), top1))
    return found


def published_top1(name: str, config: Mapping[str, object], size: int) -> float | None:
    """Return the top-1 accuracy in % that was published for a network at an input of `size` pixels a side.

    Of another library's network it is that of its best weights, at their own size. None where none was published.
    """
    if ":" in name:
        known = [top1 for top1 in zoo.tags(name).values() if top1 is not None]
        own = not config and size == zoo.form(name).input_shape[-1]
        return max(known) if known and own else None
    return _top1_of().get(_key(Candidate(name, config, size, "")))


@cache
def _top1_of() -> Mapping[tuple[str, str, int], float]:
    return {_key(row.candidate): row.top1 for row in _rows(lambda candidate: (0, 0))}


def family_of(name: str) -> str:
    """Return the title of a network's family; of a library's network the library."""
    return next((family.title for family in zoo.FAMILIES if name in family.variants), name.partition(":")[0])


@dataclass(frozen=True)
class Priors:
    """Regression of published accuracies on parameters, MACs and input size, with an offset for each family.

    It is linear in their logarithms, and predicts the log-odds of the accuracy. Its errors are those of
    networks that were left out at all their sizes. A family without a published accuracy has none here.
    """

    slopes: Array
    center: Array
    scale: Array
    families: tuple[str, ...]
    known: Mapping[tuple[str, str, int], float]
    """(family, Config, size) -> published accuracy, 0 to 1."""
    reach: Array
    """Logarithms of the least and the most parameters, MACs and side that an accuracy is interpolated for. (2, 3)"""
    error: float
    """95% of left-out networks are nearer to what was interpolated."""
    median_error: float

    @classmethod
    def learn(cls, count: Callable[[Candidate], tuple[int, int]]) -> Priors:
        """Learn from every published accuracy.

        Args:
            count: Function that returns parameters and MACs of a candidate.
        """
        rows = _rows(count)
        of = [family_of(row.candidate.network) for row in rows]
        families = tuple(dict.fromkeys(of))
        sizes = np.log([(row.params, row.macs, row.candidate.size) for row in rows])
        center, scale = sizes.mean(axis=0), sizes.std(axis=0)
        values = _features((sizes - center) / scale, of, families)
        top1 = np.array([row.top1 / 100 for row in rows])
        target = np.log(top1 / (1 - top1))

        networks = [f"{row.candidate.network} {row.candidate.config}" for row in rows]
        answers = np.zeros(len(rows))
        for network in set(networks):
            own = np.array([one == network for one in networks])
            answers[own] = values[own] @ _ridge(values[~own], target[~own])
        errors = np.abs(1 / (1 + np.exp(-answers)) - top1)
        return cls(
            slopes=_ridge(values, target),
            center=center,
            scale=scale,
            families=families,
            known={_key(row.candidate): row.top1 / 100 for row in rows},
            reach=np.array([sizes.min(axis=0) - np.log(BEYOND), sizes.max(axis=0) + np.log(BEYOND)]),
            error=float(np.quantile(errors, 0.95)),
            median_error=float(np.median(errors)),
        )

    def __call__(self, candidate: Candidate, params: int, macs: int) -> PriorAccuracy | None:
        """Return the published accuracy of a candidate, else the interpolated one.

        It is None for a family without published accuracies, and for a network far smaller or larger than those.
        """
        if (known := self.known.get(_key(candidate))) is not None:
            return PriorAccuracy(known, 0.0, PUBLISHED)
        family = family_of(candidate.network)
        given = np.log([[params, macs, candidate.size]])
        if family not in self.families or (given < self.reach[0]).any() or (given > self.reach[1]).any():
            return None
        sizes = (given - self.center) / self.scale
        answer = float((_features(sizes, [family], self.families) @ self.slopes)[0])
        return PriorAccuracy(1 / (1 + math.exp(-answer)), self.error, INTERPOLATED)


def _key(candidate: Candidate) -> tuple[str, str, int]:
    """Return what tells networks apart: names of one family with equal fields are one network."""
    name = candidate.network
    config = name if ":" in name else repr(replace(zoo.variant(name).config, **candidate.config))
    return family_of(name), config, candidate.size


def _features(sizes: Array, families: Sequence[str], known: Sequence[str]) -> Array:
    """Return a row for each network: three sizes, the MACs squared, one column a family, and 1. (N, 3) -> (N, F)"""
    own = np.array([[float(family == other) for other in known] for family in families])
    return np.hstack([sizes, sizes[:, 1:2] ** 2, own, np.ones((len(sizes), 1))])


def _ridge(values: Array, target: Array) -> Array:
    penalty = np.full(values.shape[1], FAMILY_RIDGE)
    penalty[:4], penalty[-1] = RIDGE, 0.0
    return np.asarray(np.linalg.solve(values.T @ values + np.diag(penalty), values.T @ target))

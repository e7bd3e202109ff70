"""Folds of a source's pictures (cross-validation), decided by content as splits are."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.data.apart import TwinRule, TwinsInTraining, have_twin, without_later_twins
from pennyweight.data.source import Sample, Source
from pennyweight.data.splits import Splits
from pennyweight.data.twins.find import Twins
from pennyweight.data.units import Unit, in_order, units_of

__all__ = ["assign_folds", "clusters_of", "have_twin_in_folds", "in_folds", "number_groups", "number_units"]


def assign_folds(
    samples: Sequence[Sample],
    folds: int,
    *,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
) -> NDArray[np.int64]:
    """Return the fold of each sample, (N,) numbers from 0 to folds - 1.

    Each class is spread evenly over the folds, in an order drawn from (seed, content). A new picture therefore moves
    at most folds - 1 other units of its class. Equal pictures, pictures of one group and twins share a fold. Every
    class lies in at least two folds, so that the rest of the pictures always teaches it.

    Args:
        samples: N samples.
        folds: Number of folds, at least 2.
        seed: Seed of the division.
        clusters: Name of the cluster of each picture with twins, by its digest.
        labels: Names of the classes, for errors.

    Raises:
        SourceError: There are fewer units than folds, or a class has fewer than two.
    """
    units = units_of(samples, clusters or {})
    if len(units) < folds:
        raise SourceError(
            f"{folds} folds need at least {folds} different pictures or groups, and there are {len(units)}; take "
            "fewer folds, or add pictures"
        )
    order = sorted(units, key=lambda unit: _draw(unit, seed))
    fold_of = {id(unit): int(_draw(unit, seed) * folds) for unit in order if len(unit.labels) > 1}
    by_class: dict[int, list[Unit]] = defaultdict(list)
    for unit in order:
        for label in unit.labels:
            by_class[label].append(unit)
    for label, members in by_class.items():
        fold_of |= _spread([unit for unit in members if len(unit.labels) == 1], folds, start=label)
    _fill_folds(order, fold_of, folds)
    _keep_classes_apart(by_class, fold_of, folds, labels)
    of_sample = {id(sample): fold_of[id(unit)] for unit in units for sample in unit.samples}
    return np.array([of_sample[id(sample)] for sample in samples], np.int64)


def _draw(unit: Unit, seed: int) -> float:
    """Return a number in [0, 1) drawn from the seed and the unit's content; it does not depend on the unit's split."""
    return int(hashlib.sha256(f"{seed} {unit.place!r}".encode()).hexdigest()[:13], 16) / 16**13


def _spread(units: Sequence[Unit], folds: int, *, start: int) -> dict[int, int]:
    """Spread the units of a class over the folds, by the middle of each in their row of pictures; -> id, fold."""
    total, before, found = sum(len(unit.samples) for unit in units), 0, {}
    for unit in units:
        middle = before + len(unit.samples) / 2
        found[id(unit)] = (int(folds * middle / total) + start) % folds
        before += len(unit.samples)
    return found


def _fill_folds(units: Sequence[Unit], fold_of: dict[int, int], folds: int) -> None:
    """Move a unit to each empty fold, which large groups leave, from the fold with the most units."""
    for empty in sorted(set(range(folds)) - set(fold_of.values())):
        counts = Counter(fold_of.values())
        fullest = max(range(folds), key=lambda fold: counts[fold])
        movable = [unit for unit in units if fold_of[id(unit)] == fullest]
        fold_of[id(min(movable, key=lambda unit: len(unit.samples)))] = empty


def _keep_classes_apart(
    by_class: Mapping[int, Sequence[Unit]], fold_of: dict[int, int], folds: int, labels: Sequence[str]
) -> None:
    """Move a unit of each class that lies in one fold to the next fold. Raises SourceError where that is not enough."""
    for label in sorted(by_class):
        members = sorted(by_class[label], key=lambda unit: len(unit.labels))  # one of this class alone first
        if len(members) > 1 and len({fold_of[id(unit)] for unit in members}) == 1:
            fold_of[id(members[0])] = (fold_of[id(members[0])] + 1) % folds
    for label in sorted(by_class):
        if len({fold_of[id(unit)] for unit in by_class[label]}) == 1:
            name = f"class '{labels[label]}'" if labels else f"class {label}"
            raise SourceError(
                f"{name} has {several(len(by_class[label]), 'different picture')} or group; folds need at least two "
                "apart from each other, one to learn from and one to score"
            )


def clusters_of(source: Source, twins: Twins | None, rule: TwinRule) -> dict[str, str]:
    """Return the name of the cluster of each picture that a fold keeps with its twins, by its digest."""
    if twins is None or rule == "keep":
        return {}
    clusters = enumerate(twins.clusters(len(source.samples)))
    return {source.samples[number].digest: str(key) for key, cluster in clusters for number in cluster}


def number_units(source: Source, twins: Twins | None, samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Return a unit number per sample, (N,): equal pictures, twins and pictures of a group have the same number."""
    units = units_of(source.samples, clusters_of(source, twins, "group"))
    number_of = {sample.digest: number for number, unit in enumerate(units) for sample in unit.samples}
    return np.array([number_of[sample.digest] for sample in samples], np.int64)


def number_groups(source: Source, twins: Twins | None, samples: Sequence[Sample]) -> NDArray[np.int64] | None:
    """Return the numbers of `number_units` where some of the samples have a group; None where none has one."""
    return number_units(source, twins, samples) if any(sample.group is not None for sample in samples) else None


def in_folds(source: Source, twins: Twins | None, rule: TwinRule, folds: int) -> Splits:
    """Return the splits of a training whose pictures are scored in folds: all of them are training pictures.

    Args:
        source: A source without splits of its own.
        twins: Twins among its samples; None where they were not looked for.
        rule: Rule for twins; "drop" leaves all but one of a cluster out.
        folds: Number of folds.
    """
    parts = Splits(train=in_order(source.samples), val=(), test=())
    lines = [f"{folds} folds by content: every picture is scored once, by a network that learned from the other folds"]
    if twins is not None and twins.reason:
        lines.append(twins.reason)
    clusters = [] if twins is None else twins.clusters(len(source.samples))
    if clusters and rule != "keep":
        pictures = f"{several(sum(map(len, clusters)), 'picture')} in {several(len(clusters), 'cluster')}"
        if rule == "drop":
            parts = without_later_twins(source, clusters, parts)
            lines.append(f"{pictures} of the same moment: {several(len(parts.left_out), 'twin')} left out")
        else:
            lines.append(f"{pictures} of the same moment stay together in a fold")
    return replace(parts, notes=tuple(lines))


def have_twin_in_folds(
    source: Source, twins: Twins, samples: Sequence[Sample], folds: NDArray[np.int64]
) -> TwinsInTraining:
    """Find the samples with a twin in another fold, from which their score's network learned. (N,) -> masks of (N,)."""
    found, unknown = np.zeros((2, len(samples)), np.bool_)
    for fold in np.unique(folds).tolist():
        own = np.flatnonzero(folds == fold)
        others = [samples[number] for number in np.flatnonzero(folds != fold).tolist()]
        masks = have_twin(source, twins, others, [samples[number] for number in own.tolist()])
        found[own], unknown[own] = masks.found, masks.unknown
    return TwinsInTraining(found, unknown)

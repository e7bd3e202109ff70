"""Split a source so that pictures of the same moment do not lie on both sides, by one of three rules."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.data.source import SPLITS, Sample, Source
from pennyweight.data.splits import LeftOut, Splits, split
from pennyweight.data.twins.find import Twins

__all__ = ["TwinRule", "TwinsInTraining", "have_twin", "moments_of", "split_by_rule", "without_later_twins"]

TwinRule = Literal["group", "keep", "drop"]
"""group: twins stay in one split; keep: they are split as other pictures; drop: one of them is left."""


class TwinsInTraining(NamedTuple):
    """Masks of N pictures, by their twins among those of a training."""

    found: NDArray[np.bool_]
    """(N,): pictures with a twin."""
    unknown: NDArray[np.bool_]
    """(N,): others of which it cannot be told: they look like too many pictures, or have too few shapes."""


def split_by_rule(source: Source, twins: Twins | None, rule: TwinRule) -> Splits:
    """Divide a source by `split`, and its twins by `rule`.

    The splits that a source has keep their twins, except that "drop" leaves those of a later split out of training and
    validation.

    Args:
        source: The source.
        twins: Twins among its samples; None where they were not looked for.
        rule: Rule for twins.

    Returns:
        The splits; their notes tell what was done about twins.

    Raises:
        SourceError: A class has too few pictures, or too few that are not twins of each other.
    """
    if twins is None:
        return _noting(split(source), "pictures of the same moment are not looked for in shards: doctor finds them")
    clusters = twins.clusters(len(source.samples))
    reason = (twins.reason,) if twins.reason else ()
    if not clusters:
        return _noting(split(source), *reason)
    if rule == "keep":
        parts = split(source)
        return _noting(parts, *reason, *_across(source, twins, parts))
    try:
        parts = split(source, clusters)
    except SourceError as error:
        split(source)  # raises what is not due to twins
        raise SourceError(
            f"{error}; pictures that show the same moment count as one, and --twins keep counts each"
        ) from error
    pictures = f"{sum(map(len, clusters)):,} pictures in {_count(len(clusters), 'cluster')} of the same moment"
    if rule == "drop":
        kept = without_later_twins(source, clusters, parts)
        count = sum(parts.counts.values()) - sum(kept.counts.values())
        return _noting(kept, *reason, f"{pictures}: {_count(count, 'twin')} left out")
    apart = _across(source, twins, parts)
    return _noting(parts, *reason, *(apart or (f"{pictures} stay together in a split",)))


def have_twin(source: Source, twins: Twins, training: Collection[Sample], samples: Sequence[Sample]) -> TwinsInTraining:
    """Find the samples that show the moment of a picture of `training`; all of them are of one source.

    Twins chain, as in `split_by_rule`: of a long recording only a few pairs are known, which join all of its frames.
    """
    shown = _moments(source, twins)
    known = {shown.get(sample.digest, sample.digest) for sample in training}
    found = np.array([shown.get(sample.digest, sample.digest) in known for sample in samples], np.bool_)
    untold = {source.samples[number].digest for number in np.flatnonzero(twins.untold).tolist()}
    unknown = np.array([sample.digest in untold for sample in samples], np.bool_)
    return TwinsInTraining(found, unknown & ~found)


def moments_of(source: Source, twins: Twins | None, samples: Sequence[Sample]) -> NDArray[np.int64] | None:
    """Return the number of the moment that each sample shows, (N,); None where twins were not looked for.

    Twins show one moment. Their answers depend on each other, so a score counts them as one.
    """
    if twins is None:
        return None
    moment = _moments(source, twins)
    shown = [moment.get(sample.digest, sample.digest) for sample in samples]
    return np.unique(np.array(shown, str), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _moments(source: Source, twins: Twins) -> dict[str, str]:
    """Return the name of the moment of each picture with twins, by its digest."""
    clusters = enumerate(twins.clusters(len(source.samples)))
    return {source.samples[number].digest: str(key) for key, cluster in clusters for number in cluster}


def _across(source: Source, twins: Twins, parts: Splits) -> tuple[str, ...]:
    """Return a note on the test pictures with a twin in training or validation, if there are any."""
    count = int(have_twin(source, twins, (*parts.train, *parts.val), parts.test).found.sum())
    what = f"{count:,} of {len(parts.test):,} test pictures have a twin in training or validation"
    score = (
        "the score is given with and without them" if count < len(parts.test) else "no picture can score the network"
    )
    return (f"{what}: {score}",) if count else ()


def without_later_twins(source: Source, clusters: Sequence[Sequence[int]], parts: Splits) -> Splits:
    """Leave one picture of each cluster, of the latest split that has some; a test split of its own stays whole."""
    cluster_of = {source.samples[number].name: key for key, cluster in enumerate(clusters) for number in cluster}
    own_test = len({sample.split for sample in source.samples}) > 1
    taken: set[int] = set()
    kept: dict[str, tuple[Sample, ...]] = {}
    for name in reversed(SPLITS):
        whole = own_test and name == "test"
        first: dict[int, str] = {}
        for sample in sorted(parts[name], key=_rank):
            if sample.name in cluster_of:
                first.setdefault(cluster_of[sample.name], sample.name)
        kept[name] = tuple(
            sample
            for sample in parts[name]
            if (key := cluster_of.get(sample.name)) is None
            or (key not in taken and (whole or first[key] == sample.name))
        )
        taken |= first.keys()
    lost = {sample.label for sample in parts.train} - {sample.label for sample in kept["train"]}
    if lost or (parts.val and not kept["val"]):
        what = " and ".join(f"class '{source.labels[label]}'" for label in sorted(lost)) or "the val split"
        raise SourceError(f"--twins drop leaves no picture of {what} of {source.name}; --twins group keeps them")
    there = {id(sample) for name in SPLITS for sample in kept[name]}
    twins = [each.name for name in SPLITS for each in parts[name] if id(each) not in there]
    reason = "another picture of the same moment stays"
    left_out = (*parts.left_out, *(LeftOut(name, reason) for name in twins))
    return replace(parts, train=kept["train"], val=kept["val"], test=kept["test"], left_out=left_out)


def _rank(sample: Sample) -> tuple[bytes, str]:
    """Return the order in which pictures of a cluster are kept, which depends on contents, of equal ones on names."""
    return hashlib.sha256(sample.digest.encode()).digest(), sample.name


def _noting(parts: Splits, *notes: str) -> Splits:
    return replace(parts, notes=(*parts.notes, *notes))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"

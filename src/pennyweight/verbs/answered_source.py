"""Answers of a classifier to the pictures of a source, shared among ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.runtime import Classifier

__all__ = ["Share", "answer", "answer_and_measure", "answer_share", "answered", "join"]

BATCH = 64


class Share(NamedTuple):
    """Answers to a rank's part of the pictures."""

    probabilities: NDArray[np.float32]
    """(N, classes)."""
    targets: NDArray[np.int64]
    """Classes of the source, (N,)."""
    unreadable: tuple[data.Unreadable, ...]


def answer_share(
    opened: data.Source, samples: Sequence[data.Sample], classifier: Classifier, advance: Callable[[int], None]
) -> Share:
    """Read pictures, leave out those that cannot be read, and answer the others."""
    if not samples:
        return Share(np.empty((0, len(classifier.labels)), np.float32), np.empty(0, np.int64), ())
    pictures = data.make_pictures(opened, samples, classifier.preprocess, cache=data.DecodedCache())
    unreadable = pictures.read()
    answered = answer(classifier, pictures, advance)
    return Share(answered, np.asarray(pictures.targets), unreadable)


def answered(samples: Sequence[data.Sample], shares: Sequence[Share]) -> Sequence[data.Sample]:
    """Return the samples without those that could not be read, in the order of the answers."""
    unreadable = {each.name for share in shares for each in share.unreadable}
    return [sample for sample in samples if sample.name not in unreadable]


def join(
    shares: Sequence[Share],
    opened: data.Source,
    left_out: Callable[[data.Unreadable], None],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return probabilities and classes of all shares. Raises SourceError where too few pictures can be read."""
    unreadable = (*opened.unreadable, *(each for share in shares for each in share.unreadable))
    for each in unreadable:
        left_out(each)
    targets = np.concatenate([share.targets for share in shares])
    if (reason := data.too_little(replace(opened, samples=()), unreadable, targets.tolist())) is not None:
        raise SourceError(reason)
    return np.concatenate([share.probabilities for share in shares]), targets


def answer(
    classifier: Classifier, pictures: data.Pictures, advance: Callable[[int], None] = lambda count: None
) -> NDArray[np.float32]:
    """Return the classifier's probabilities (N, classes) for every picture, in order.

    Raises PennyweightError where a probability is NaN.
    """
    return answer_and_measure(replace(classifier, held_out=None), pictures, advance)[0]


def answer_and_measure(
    classifier: Classifier, pictures: data.Pictures, advance: Callable[[int], None] = lambda count: None
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return the probabilities (N, classes), and how typical each picture is (N,); None for a network without.

    Raises PennyweightError where a probability is NaN.
    """
    rows, typical = [np.empty((0, len(classifier.labels)), np.float32)], [np.empty(0)]
    for batch in pictures.in_order(BATCH):
        assert isinstance(batch.pixels, np.ndarray)
        found = classifier.measured(batch.pixels)
        rows.append(found[0])
        typical.append(found[1])
        if not np.isfinite(rows[-1]).all():
            raise PennyweightError(
                "the network answers with NaN in place of numbers, which no score can be made of: its weights are "
                "damaged, or its training diverged"
            )
        advance(len(batch.targets))
    return np.concatenate(rows), None if classifier.calibration is None else np.concatenate(typical)

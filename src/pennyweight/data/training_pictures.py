"""Exclude pictures that a network was trained on from scoring, by their digests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.training_digests import TrainingDigests, marks_of
from pennyweight.data.digests import Digests
from pennyweight.data.source import Sample

__all__ = ["digests_of_samples", "exclude_seen", "seen_among"]


def digests_of_samples(*parts: Sequence[Sample]) -> TrainingDigests:
    """Return the digests of the samples of `parts` as training digests."""
    return TrainingDigests.of(*(marks_of(sample.digest for sample in part) for part in parts))


def exclude_seen(samples: Sequence[Sample], training_digests: TrainingDigests) -> Sequence[Sample]:
    """Return the samples that are not among the training pictures, by either of their digests."""
    known = seen_among([Digests(sample.digest, sample.file_digest) for sample in samples], training_digests)
    return [sample for sample, seen in zip(samples, known.tolist(), strict=True) if not seen]


def seen_among(digests: Sequence[Digests], training_digests: TrainingDigests) -> NDArray[np.bool_]:
    """Return a mask of the pictures, by either of their digests, that training has seen. (N,)"""
    known = training_digests.knows(marks_of(each.content for each in digests))
    return known | training_digests.knows(marks_of(each.file or each.content for each in digests))

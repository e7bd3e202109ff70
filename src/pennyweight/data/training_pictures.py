"""Exclude pictures that a network was trained on from scoring, by their digests."""

from __future__ import annotations

from collections.abc import Sequence

from pennyweight.core.training_digests import TrainingDigests, marks_of
from pennyweight.data.source import Sample

__all__ = ["digests_of_samples", "exclude_seen"]


def digests_of_samples(*parts: Sequence[Sample]) -> TrainingDigests:
    """Return the digests of the samples of `parts` as training digests."""
    return TrainingDigests.of(*(marks_of(sample.digest for sample in part) for part in parts))


def exclude_seen(samples: Sequence[Sample], training_digests: TrainingDigests) -> Sequence[Sample]:
    """Return the samples that are not among the training pictures, by either of their digests."""
    known = training_digests.knows(marks_of(sample.digest for sample in samples))
    known |= training_digests.knows(marks_of(sample.file_digest or sample.digest for sample in samples))
    return [sample for sample, seen in zip(samples, known.tolist(), strict=True) if not seen]

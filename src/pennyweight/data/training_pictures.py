"""Pictures that a network has learnt from: what they score says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from pennyweight.core.training_digests import Learnt, marks_of
from pennyweight.data.source import Sample

__all__ = ["learnt_from", "unseen"]


def learnt_from(*parts: Sequence[Sample]) -> Learnt:
    """Return the pictures of `parts` as something that was learnt from."""
    return Learnt.of(*(marks_of(sample.digest for sample in part) for part in parts))


def unseen(samples: Sequence[Sample], learnt: Learnt) -> Sequence[Sample]:
    """Return those of `samples` that are not among what was learnt from."""
    known = learnt.knows(marks_of(sample.digest for sample in samples))
    return [sample for sample, seen in zip(samples, known.tolist(), strict=True) if not seen]

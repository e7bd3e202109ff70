"""Which pictures a training saw, in eight bytes each: what they score says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.files import atomic
from pennyweight.data.source import Sample

__all__ = ["unseen", "write_seen"]


def write_seen(path: Path, *parts: Sequence[Sample]) -> None:
    """Keep which pictures these are (.npy of uint64, sorted); whole or not at all."""
    with atomic(path) as temporary:
        np.save(temporary, np.unique(np.concatenate([_marks(part) for part in parts])), allow_pickle=False)


def unseen(samples: Sequence[Sample], path: Path) -> Sequence[Sample]:
    """Those of `samples` that are not among what `write_seen` kept; all of them where nothing was kept."""
    if not path.exists():
        return samples
    seen = np.isin(_marks(samples), np.load(path, allow_pickle=False))
    return [sample for sample, known in zip(samples, seen.tolist(), strict=True) if not known]


def _marks(samples: Sequence[Sample]) -> NDArray[np.uint64]:
    """The first eight bytes of each picture's SHA-256."""
    return np.array([int(sample.digest[:16], 16) for sample in samples], np.uint64)

"""What a training inherits: pictures that its first weights or its teacher have seen score nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.files import atomic, split_part

__all__ = ["seen_by", "without_learnt", "write_learnt"]


def seen_by(*named: str | os.PathLike[str] | None) -> list[Path]:
    """What the runs among these say of the pictures that they were trained and selected on.

    A run is its folder, or the weights in it.
    """
    paths = [split_part(what)[0] for what in named if what is not None]
    folders = [path if path.is_dir() else path.parent for path in paths if path.exists()]
    return [folder / "seen.npy" for folder in folders if (folder / "seen.npy").exists()]


def without_learnt(splits: data.Splits, seen: Sequence[Path]) -> data.Splits:
    """The splits, with none of what was `seen` before in test. Raises SourceError where that leaves nothing."""
    test: Sequence[data.Sample] = splits.test
    for path in seen:
        test = data.unseen(test, path)
    left_out = len(splits.test) - len(test)
    if not left_out:
        return splits
    who = " and ".join(dict.fromkeys(str(path.parent) for path in seen))
    if not test:
        raise SourceError(f"{who} learnt from every picture of the test split, so that none can score this training")
    note = f"{left_out} picture{'s' * (left_out > 1)} left out of test: {who} learnt from the same"
    return replace(splits, test=tuple(test), notes=(*splits.notes, note))


def write_learnt(path: Path, splits: data.Splits, seen: Sequence[Path]) -> None:
    """Keep which pictures this training learns from: its own, and those before it."""
    data.write_seen(path, splits.train, splits.val)
    if seen:
        marks = [np.load(each, allow_pickle=False) for each in (path, *seen)]
        with atomic(path) as temporary:
            np.save(temporary, np.unique(np.concatenate(marks)), allow_pickle=False)

"""Keep the training pictures of a network, of its initial weights and of its teacher out of its test split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.figures import several
from pennyweight.core.files import split_part
from pennyweight.core.run import Run
from pennyweight.core.run_folder import is_run_folder
from pennyweight.core.training_digests import TrainingDigests

__all__ = ["training_digests_of", "without_training_pictures"]


def training_digests_of(*named: str | os.PathLike[str] | None) -> dict[str, TrainingDigests]:
    """Return the digests of the training pictures of the runs among `named`, by the run's folder.

    A run is named by its folder, or by the weights in it. Raises RunError for a damaged run.
    """
    paths = [split_part(what)[0] for what in named if what is not None]
    folders = [path if path.is_dir() else path.parent for path in paths if path.exists()]
    found = {str(folder): Run(folder).training_digests for folder in folders if is_run_folder(folder)}
    return {folder: training_digests for folder, training_digests in found.items() if training_digests is not None}


def without_training_pictures(splits: data.Splits, before: Mapping[str, TrainingDigests]) -> data.Splits:
    """Return the splits with a test split without the pictures of `before`. Raises SourceError where none is left."""
    test: Sequence[data.Sample] = splits.test
    for training_digests in before.values():
        test = data.exclude_seen(test, training_digests)
    left_out = len(splits.test) - len(test)
    if not left_out:
        return splits
    who = " and ".join(before)
    if not test:
        raise SourceError(f"{who} trained on every picture of the test split, so that none can score this training")
    reason = f"{who} trained on the same"
    note = f"{several(left_out, 'picture')} left out of test: {reason}"
    kept = {id(sample) for sample in test}
    learned = tuple(data.LeftOut(sample.name, reason) for sample in splits.test if id(sample) not in kept)
    return replace(splits, test=tuple(test), left_out=(*splits.left_out, *learned), notes=(*splits.notes, note))

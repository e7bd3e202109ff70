"""Findings on shards: the order of their samples, unusual fields, and unequal sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.figures import megabytes, number, several
from pennyweight.data.checks.diagnosis import Finding
from pennyweight.data.readers.shard_index import Streamed
from pennyweight.data.source import Source

__all__ = ["classes_in_batches", "shard_findings"]

BATCH = 64
"""Samples that are read one after another, as a plain reader makes a batch of them."""
SORTED = 0.8
"""Share of the classes of a mixed batch below which the order is a finding."""
UNEQUAL = 4.0
"""Ratio of the largest shard to the median from which on sizes are a finding."""


def shard_findings(source: Source) -> Iterator[Finding]:
    """Yield the findings on the shards of a streamed source, from its index alone."""
    pictures = [each.picture for each in source.samples if isinstance(each.picture, Streamed)]
    if not pictures:
        return
    index = pictures[0].index
    places = np.argsort([picture.number for picture in pictures], kind="stable")
    labels = np.array([sample.label for sample in source.samples], np.int64)[places]
    stored = classes_in_batches(labels)
    mixed = classes_in_batches(np.random.default_rng(0).permutation(labels))
    if stored < SORTED * mixed:
        yield Finding(
            "order",
            (),
            f"{BATCH} neighbors in the shards have {number(round(stored, 1))} classes, and "
            f"{number(round(mixed, 1))} if mixed; fit mixes them, and `pennyweight pack` does so for other readers",
        )
    for note, count in sorted(Counter(filter(None, index.columns["note"].tolist())).items()):
        yield Finding("fields", (), f"{note}, in {several(count, 'sample')}")
    sums = np.add.reduceat(index.sizes, index.starts[:-1][np.diff(index.starts) > 0])
    files = [file for file, count in zip(index.shards.files, np.diff(index.starts), strict=True) if count]
    largest = int(sums.argmax())
    if len(files) > 2 and sums[largest] > UNEQUAL * np.median(sums):
        yield Finding(
            "shard sizes",
            (files[largest].name,),
            f"{megabytes(int(sums[largest]))} of pictures, and {megabytes(int(np.median(sums)))} in the median shard",
        )


def classes_in_batches(labels: NDArray[np.int64]) -> float:
    """Return the mean effective number of classes, exp(entropy), in successive batches of labels (N,)."""
    found = []
    for start in range(0, max(1, len(labels) - BATCH + 1), BATCH):
        counts = np.bincount(labels[start : start + BATCH])
        shares = counts[counts > 0] / counts.sum()
        found.append(float(np.exp(-(shares * np.log(shares)).sum())))
    return float(np.mean(found))

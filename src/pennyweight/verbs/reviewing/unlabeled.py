"""Open pictures without labels, and leave out those that a labeled picture, or another of them, shows already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.prediction import Failure
from pennyweight.data.readers.contents import Listed, read_samples
from pennyweight.verbs.inputs import pictures_given

__all__ = ["New", "open_unlabeled", "without_known"]

NO_CLASS = "unlabeled"


class New(NamedTuple):
    """Pictures that nothing labeled shows."""

    samples: tuple[data.Sample, ...]
    known: int
    """Number of the others: equal to a labeled picture, a twin of one, or a twin of another one in the folder."""


def open_unlabeled(
    paths: Iterable[str | os.PathLike[str]],
    *,
    note: Callable[[str], None],
    left_out: Callable[[data.Unreadable], None],
) -> data.Source:
    """Open picture files, and folders with all that is inside them, as a source of one class.

    Raises SourceError where there is no picture.
    """
    listed: list[Listed] = []
    names = [os.fspath(path) for path in paths]
    for each in pictures_given(names, note):
        if isinstance(each, Failure):
            left_out(data.Unreadable(each.source, each.error))
        elif isinstance(each.picture, Path):
            listed.append((each.picture, 0, None, each.source, None))
        else:
            raise SourceError(f"{each.source} is no file of its own; put the pictures into a folder, and name that")
    found = read_samples(listed)
    for lost in found.unreadable:
        left_out(lost)
    if not found.samples:
        raise SourceError(f"{' and '.join(names)} has no picture to suggest; name a folder of pictures without labels")
    return data.Source(
        name=Path(names[0]).resolve().name,
        address=names[0],
        labels=(NO_CLASS,),
        samples=found.samples,
        size=found.input.size,
        channels=found.input.channels,
        wide=found.input.wide,
    )


def without_known(pool: data.Source, labeled: data.Source, *, max_pixels: int | None) -> New:
    """Leave out the pictures that are labeled already, twins of these, and all but one of a cluster of twins."""
    digests = {sample.digest for sample in labeled.samples}
    known: NDArray[np.bool_] = np.array([sample.digest in digests for sample in pool.samples])
    here, there = (data.glance_at(each, max_pixels=max_pixels) for each in (pool, labeled))
    if here is not None and there is not None:
        known[data.find_twins(here.gray, against=there.gray).pairs[:, 0]] = True
        for cluster in data.twins_among(here).clusters(len(pool.samples)):
            members = np.array(sorted(cluster))
            known[members if known[members].any() else members[1:]] = True
    first: dict[str, int] = {}
    for number, sample in enumerate(pool.samples):
        known[number] |= first.setdefault(sample.digest, number) != number
    samples = tuple(sample for sample, out in zip(pool.samples, known.tolist(), strict=True) if not out)
    return New(samples, int(known.sum()))

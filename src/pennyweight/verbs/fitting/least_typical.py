"""Show the least typical pictures of a training in its report: of training, validation and test, or of the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.typicality import HeldOut
from pennyweight.report.least_typical import LeastTypical, OddPicture, Part
from pennyweight.verbs.network_inputs import for_page

__all__ = ["SHOWN", "Measured", "Part", "show_least_typical"]

SHOWN = 8
"""Pictures of each split that the report shows."""


class Measured(NamedTuple):
    """Pictures of a split, and how typical each of them is."""

    pictures: data.Pictures
    rows: NDArray[np.int64]
    """(n,) numbers of the pictures that were measured."""
    typical: NDArray[np.float64]
    """(n,) of these."""


def show_least_typical(
    measured: Mapping[Part, Measured], labels: Sequence[str], held_out: HeldOut | None
) -> LeastTypical | None:
    """Return the least typical pictures of each split; None for a run without typicality."""
    if held_out is None:
        return None
    counts = {name: (len(each.rows), len(each.pictures)) for name, each in measured.items()}
    return LeastTypical(
        **{name: _least(each, labels) for name, each in measured.items()},
        calibration=held_out.in_words,
        least_typical=held_out.least_typical,
        drawn={name: count for name, count in counts.items() if count[0] < count[1]},
    )


def _least(measured: Measured, labels: Sequence[str]) -> list[OddPicture]:
    """Return the least typical pictures as the network sees them, the least typical first."""
    pictures, found = measured.pictures, []
    for place in np.argsort(measured.typical, kind="stable")[:SHOWN].tolist():
        row = measured.rows[place]
        sample, image = pictures.samples[row], for_page(pictures.pixels(np.array([row]))[0])
        found.append(OddPicture(image, sample.name, labels[sample.label], float(measured.typical[place])))
    return found

"""Pictures that typicality is calibrated on in folds, and those that a report says were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.typicality import MOST_KEPT, HeldOut
from pennyweight.verbs.fitting.keep_typicality import HELD_OUT_PARTS, parts_to_hold_out
from pennyweight.verbs.fitting.least_typical import Measured, show_least_typical


def samples(count: int, *, group: int = 1) -> list[data.Sample]:
    """Return pictures of two classes, of which `group` in a row are of one group."""
    return [
        data.Sample(
            name=f"{n}.png",
            picture=Path(f"{n}.png"),
            label=n // group % 2,
            digest=f"{n:08}",
            split=None,
            group=str(n // group),
        )
        for n in range(count)
    ]


def test_parts_are_small_and_hold_every_picture_once_in_whole_units() -> None:
    given = samples(120, group=3)
    parts = parts_to_hold_out(given, np.arange(120) % 5, seed=0, clusters={})
    assert len(parts) == HELD_OUT_PARTS
    assert (np.sum(parts, axis=0) == 1).all()
    for part in parts:
        assert (part.reshape(-1, 3).any(axis=1) == part.reshape(-1, 3).all(axis=1)).all()


def test_few_units_leave_the_folds_and_many_pictures_a_part_of_them() -> None:
    folds = np.arange(30) // 3 % 5
    few = parts_to_hold_out(samples(30, group=3), folds, seed=0, clusters={})
    np.testing.assert_array_equal(few, [folds == fold for fold in range(5)])
    many = np.sum(parts_to_hold_out(samples(4000), np.arange(4000) % 5, seed=0, clusters={}), axis=0)
    assert MOST_KEPT <= many.sum() <= MOST_KEPT + 4000 // HELD_OUT_PARTS
    assert many.max() == 1


class GrayPictures:
    """Pictures of 8×8 gray pixels."""

    def __init__(self, count: int) -> None:
        self.samples = samples(count)

    def __len__(self) -> int:
        return len(self.samples)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.zeros((len(rows), 8, 8, 1), np.uint8)


def test_the_report_tells_of_pictures_that_were_not_measured() -> None:
    pictures: Any = GrayPictures(50)
    some = Measured(pictures, np.arange(0, 50, 5), np.linspace(1, 0.1, 10))
    every = Measured(pictures, np.arange(50), np.linspace(1, 0.1, 50))
    held_out = HeldOut(np.arange(30, dtype=np.float32), "validation pictures")
    shown = show_least_typical({"training": some, "validation": every}, ["a", "b"], held_out)
    assert shown is not None
    assert shown.drawn == {"training": (10, 50)}
    assert shown.least_typical == 1 / 31

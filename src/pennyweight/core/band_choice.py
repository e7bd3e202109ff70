"""Bands of a cube that a network takes, as a choice such as 1-129,136-224 of 224."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError

__all__ = ["BandChoice", "spell_bands"]


MOST = 65_535
"""Bands of the largest cube; those of a damaged file may be any number."""


def _refuse_many(total: int) -> None:
    if not 0 < total <= MOST:
        raise InputError(f"a cube has from 1 to {MOST:,} bands, not {total}")


def spell_bands(numbers: Sequence[int]) -> str:
    """Return band numbers, counted from 0, as a user writes them from 1: [0, 1, 2, 5] -> "1-3,6"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in runs)


@dataclass(frozen=True)
class BandChoice:
    """Some of the bands of a cube, in ascending order."""

    numbers: tuple[int, ...]
    """Numbers of the bands, counted from 0."""
    total: int
    """Bands of the whole cube."""

    @classmethod
    def whole(cls, total: int) -> BandChoice:
        """Choose every band. Raises InputError for more than MOST."""
        _refuse_many(total)
        return cls(tuple(range(total)), total)

    @classmethod
    def parse(cls, text: str, total: int) -> BandChoice:
        """Read numbers from 1 and ranges, such as 1-129,136-224. Raises InputError for anything else."""
        _refuse_many(total)
        chosen: set[int] = set()
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            if not (first.isdecimal() and (last.isdecimal() or not dash)):
                raise InputError(f"--bands {text} is no list of bands: numbers and ranges do, such as 1-{total}")
            start, end = int(first), int(last or first)
            if not 1 <= start <= end <= total:
                raise InputError(f"--bands {text}: {part.strip()} is not among the bands 1-{total} of the cube")
            chosen.update(range(start - 1, end))
        return cls(tuple(sorted(chosen)), total)

    def __str__(self) -> str:
        return spell_bands(self.numbers)

    @property
    def is_whole(self) -> bool:
        """True if no band is left out."""
        return len(self.numbers) == self.total

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the chosen bands: (…, total) -> (…, chosen). Values that have only the chosen bands stay.

        Raises InputError for another number of bands.
        """
        found = values.shape[-1]
        if found not in (self.total, len(self.numbers)):
            raise InputError(
                f"this network takes {len(self.numbers)} of {self.total} bands ({self}): a cube has {self.total} or "
                f"{len(self.numbers)} bands, not {found}"
            )
        if found != self.total or self.is_whole:
            return values
        first, last = self.numbers[0], self.numbers[-1]
        if last - first + 1 == len(self.numbers):
            return values[..., first : last + 1]
        taken: NDArray[Any] = np.take(values, self.numbers, axis=-1)
        return taken

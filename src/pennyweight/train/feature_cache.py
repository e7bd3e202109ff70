"""Features on disk while they are computed, so that a kill loses an interval of them, not all."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import RunError
from pennyweight.core.files import atomic
from pennyweight.core.reading import reason_of
from pennyweight.core.signals import Stop

__all__ = ["FeatureCache", "NullFeatureCache"]

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(n, features) and (n,): what the last linear layer sees of n pictures, and their classes."""


class NullFeatureCache:
    """Nowhere: all features are computed."""

    def read(self, of: str) -> list[Rows]:
        """Batches of features that are there already, from the first on."""
        return []

    def add(self, rows: Rows) -> None:
        """One batch more."""

    def end(self) -> None:
        """These were all."""


class FeatureCache(NullFeatureCache):
    """Parts of some batches in `folder`, written every `every_s` seconds and when `stop` asks; each is whole or absent.

    What took less than an interval in all is not written. Only the process that `writes` does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float,
        stop: Stop,
        writes: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.every_s, self.stop, self.writes = folder, every_s, stop, writes
        self._clock = clock
        self._of = ""
        self._parts = 0
        self._rows: list[Rows] = []
        self._saved = clock()

    def read(self, of: str) -> list[Rows]:
        """Batches of features that are there already; `of` names what they are features of."""
        self._of, found = of, []
        while (rows := self._part(self._parts)) is not None:
            self._parts += 1
            found += rows
        self._saved = self._clock()
        return found

    def add(self, rows: Rows) -> None:
        """One batch more. Ends here, with what there is saved, when a signal asked to stop."""
        self._rows.append(rows)
        if self._clock() - self._saved >= self.every_s or self.stop.asked is not None:
            self._write()
        if self.stop.asked is not None:
            self.stop.end()

    def end(self) -> None:
        """These were all."""
        if self._parts and self._rows:
            self._write()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def _write(self) -> None:
        if self.writes:
            values, targets = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
            sizes = np.array([len(each) for _, each in self._rows])
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with atomic(self._path(self._parts)) as temporary, temporary.open("wb") as file:
                    np.savez(file, of=np.array(self._of), values=values, targets=targets, sizes=sizes)
            except OSError as error:
                raise RunError(f"cannot save features in {self.folder}: {reason_of(error)}") from error
        self._parts, self._rows, self._saved = self._parts + 1, [], self._clock()

    def _part(self, number: int) -> list[Rows] | None:
        """The batches of a part; None where it is not there, damaged, or of something else."""
        try:
            with self._path(number).open("rb") as file, np.load(file, allow_pickle=False) as part:
                if str(part["of"]) != self._of:
                    return None
                ends = np.cumsum(part["sizes"])[:-1]
                return list(zip(np.split(part["values"], ends), np.split(part["targets"], ends), strict=True))
        except Exception:  # each array has a CRC-32; whatever is wrong with a part, it is computed again
            return None

"""Cache of features on disk while they are computed: a killed process loses one interval of them, not all."""

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
"""Inputs of the last linear layer for n pictures, (n, features), and their classes, (n,)."""


class NullFeatureCache:
    """Cache that keeps nothing: all features are computed."""

    def read(self, of: str) -> list[Rows]:
        """Return the batches cached so far, in order; `of` identifies the pictures and views."""
        return []

    def add(self, rows: Rows) -> None:
        """Add the next batch."""

    def end(self) -> None:
        """Finish after the last batch."""


class FeatureCache(NullFeatureCache):
    """Files in `folder`, each with some batches, written every `every_s` seconds and after a signal (`stop`).

    Each file is complete or absent. Features that take less than one interval in all are not written. Only a process
    with `writes` writes.
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
        """Return the batches cached so far, in order; `of` identifies the pictures and views."""
        self._of, found = of, []
        while (rows := self._read_part(self._parts)) is not None:
            self._parts += 1
            found += rows
        self._saved = self._clock()
        return found

    def add(self, rows: Rows) -> None:
        """Add the next batch. After a signal, save all batches and end the process."""
        self._rows.append(rows)
        if self._clock() - self._saved >= self.every_s or self.stop.asked is not None:
            self._write()
        if self.stop.asked is not None:
            self.stop.end()

    def end(self) -> None:
        """Save the last batches, if earlier ones are on disk."""
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

    def _read_part(self, number: int) -> list[Rows] | None:
        """Return the batches of one file; None if it is absent, damaged or of other pictures."""
        try:
            with self._path(number).open("rb") as file, np.load(file, allow_pickle=False) as part:
                if str(part["of"]) != self._of:
                    return None
                ends = np.cumsum(part["sizes"])[:-1]
                return list(zip(np.split(part["values"], ends), np.split(part["targets"], ends), strict=True))
        except Exception:  # each array has a CRC-32; features of a damaged file are computed again
            return None

"""Digests of a network's training pictures: a few bytes of each SHA-256, in a run's folder and in its bundle."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import BundleError, RunError
from pennyweight.core.files import atomic

__all__ = ["TRAINING_DIGESTS_KEY", "TrainingDigests", "marks_of"]

TRAINING_DIGESTS_KEY = "pennyweight-learnt"
"""Key of a bundle's metadata."""
FULL_BITS = 64
BUNDLE_BYTES = 5
"""Bytes for each picture in a bundle; another picture matches by chance with probability len / 2^40."""


def marks_of(digests: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each SHA-256 in hexadecimal, (N,) uint64."""
    return np.array([int(digest[:16], 16) for digest in digests], np.uint64)


@dataclass(frozen=True, eq=False)
class TrainingDigests:
    """Digests of the training and validation pictures of a network: the first `bits` bits of each SHA-256."""

    marks: NDArray[np.uint64]
    """(N,), sorted, unique and below 2^bits."""
    bits: int = FULL_BITS

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def error_rate(self) -> float:
        """Return the probability that a picture outside the training set matches by chance."""
        return float(len(self) / 2**self.bits)

    def knows(self, marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return a mask of the pictures, given by `marks_of`, that are training pictures. (N,) -> (N,)"""
        return np.isin(marks >> np.uint64(FULL_BITS - self.bits), self.marks)

    @classmethod
    def of(cls, *parts: NDArray[np.uint64]) -> TrainingDigests:
        """Join the digests of `parts`, given by `marks_of`."""
        return cls(np.unique(np.concatenate(parts)))

    def save(self, path: Path) -> None:
        """Write a .npy file of uint64, atomically."""
        with atomic(path) as temporary:
            np.save(temporary, self.marks, allow_pickle=False)

    @classmethod
    def read(cls, path: Path) -> TrainingDigests:
        """Read a file of `save`. Raises RunError for any other file."""
        try:
            marks = np.load(path, allow_pickle=False)
            if marks.dtype != np.uint64 or marks.ndim != 1:
                raise ValueError(f"{marks.dtype} of {marks.ndim} dimensions")
        except (OSError, ValueError, EOFError) as error:
            raise RunError(f"cannot read the digests of training pictures, {path}: {error}") from error
        return cls(marks)

    def to_text(self) -> str:
        """Return the text for a bundle: BUNDLE_BYTES bytes of each picture, in base64."""
        short = np.unique(self.marks >> np.uint64(self.bits - 8 * BUNDLE_BYTES))
        return base64.b64encode(short.astype(">u8").view(np.uint8).reshape(-1, 8)[:, -BUNDLE_BYTES:].tobytes()).decode()

    @classmethod
    def from_text(cls, text: str, *, name: str) -> TrainingDigests:
        """Parse the text of `to_text`. Raises BundleError that names the file `name`."""
        try:
            rows = np.frombuffer(base64.b64decode(text, validate=True), np.uint8).reshape(-1, BUNDLE_BYTES)
        except (ValueError, binascii.Error) as error:
            raise BundleError(f"{name} has damaged digests of its training pictures: {error}") from error
        wide = np.zeros((len(rows), 8), np.uint8)
        wide[:, -BUNDLE_BYTES:] = rows
        return cls(wide.view(">u8")[:, 0].astype(np.uint64), 8 * BUNDLE_BYTES)

"""Typicality of a picture: how far its features are from training, calibrated on held-out pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import RunError
from pennyweight.core.figures import fine_share, number
from pennyweight.core.files import atomic

__all__ = ["LEAST_TYPICAL", "METHOD", "MOST_KEPT", "TINY", "HeldOut", "Training", "read_typicality", "save_typicality"]

METHOD = (
    "distance of the features, scaled to length 1, from the training features by probabilistic principal components, "
    "in the unit of logits, less the logarithm of the sum of the exponentials of the logits"
)
LEAST_TYPICAL = 0.01
"""Default of the least typical: own pictures below it are 1 in 100."""
COARSE_LEAST_TYPICAL = 0.05
"""Largest default, where few held-out pictures tell no smaller share."""
TINY = 1e-12
"""Smallest length that features are divided by."""
MOST_KEPT = 1000
"""Held-out pictures that are kept: a larger number is drawn from at random, which keeps the calibration exact."""
LIMITS = (0.01, 0.05)
"""Shares whose limits the manifest of a bundle names for other programs."""

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Training:
    """Picture of the training features: their mean, their principal directions, and a scale."""

    mean: Rows
    """(F,) of the features at length 1."""
    directions: NDArray[np.float16]
    """(K, F), orthogonal, each with a length below 1: the larger the variance along it, the less a distance counts."""
    scale: float
    """Factor that gives the squared distance the unit of logits."""

    def strangeness(self, features: Rows, logits: Rows) -> Rows:
        """Return a higher number for a picture that is less like training. (N, F), (N, classes) -> (N,)"""
        lengths = np.sqrt(np.square(features).sum(axis=1, keepdims=True))
        centered = features / np.maximum(lengths, np.float32(TINY)) - self.mean
        along = centered @ self.directions.astype(np.float32).T
        far = np.square(centered).sum(axis=1) - np.square(along).sum(axis=1)
        highest = logits.max(axis=1)
        total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        found: Rows = np.float32(self.scale) * far - total
        return found


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Strangeness of pictures that training has not seen, which says how strange an own picture may be."""

    strangeness: Rows
    """(N,), in ascending order."""
    of: str
    """Description of the pictures, such as "validation pictures"."""

    @classmethod
    def of_pictures(cls, strangeness: Rows, of: str) -> Self:
        """Keep the strangeness of held-out pictures, of at most MOST_KEPT drawn at random. (N,)"""
        kept = strangeness
        if len(kept) > MOST_KEPT:
            kept = np.random.default_rng(0).choice(kept, MOST_KEPT, replace=False)
        return cls(np.sort(kept.astype(np.float32)), of)

    def __len__(self) -> int:
        return len(self.strangeness)

    def typical(self, strangeness: Rows) -> NDArray[np.float64]:
        """Return the share of held-out pictures that are at least as strange, the picture itself among them. (N,)

        That is a conformal p-value: at most a share p of own pictures gets p or less.
        """
        stranger = len(self) - np.searchsorted(self.strangeness, strangeness, side="left")
        found: NDArray[np.float64] = (1 + stranger) / (len(self) + 1)
        return found

    def typical_of_members(self, strangeness: Rows) -> NDArray[np.float64]:
        """Return `typical` of some of the held-out pictures, each compared with the others. (n,)"""
        stranger = len(self) - np.searchsorted(self.strangeness, strangeness, side="left")
        found: NDArray[np.float64] = np.maximum(stranger, 1) / len(self)
        return found

    @property
    def finest(self) -> float:
        """The least typical that the held-out pictures can tell: one of their number and one."""
        return 1 / (len(self) + 1)

    @property
    def least_typical(self) -> float:
        """The default limit: LEAST_TYPICAL, or the finest share that few pictures tell, up to COARSE_LEAST_TYPICAL."""
        return min(max(LEAST_TYPICAL, self.finest), COARSE_LEAST_TYPICAL)

    def expected(self, share: float) -> float:
        """Return the share of own pictures that are at most `share` typical: a multiple of `finest`."""
        return self._flagged(share) / (len(self) + 1)

    def _flagged(self, share: float) -> int:
        """Return how many of the held-out pictures and one more are at most `share` typical."""
        return int(np.floor(share * (len(self) + 1) + 1e-9))

    def auroc(self, strangeness: Rows) -> float:
        """Return the probability that a picture is stranger than a held-out one, with half of the ties. (N,)"""
        below, up_to = (np.searchsorted(self.strangeness, strangeness, side=side).mean() for side in ("left", "right"))
        return float(below + up_to) / (2 * len(self))

    def limit(self, share: float) -> float | None:
        """Return the strangeness from which a picture is at most `share` typical; None if no picture can be."""
        flagged = self._flagged(share) - 1
        if flagged < 0:
            return None
        rank = len(self) - flagged
        if rank == len(self):  # any picture stranger than all held-out ones
            return float(np.nextafter(self.strangeness[-1], np.float32(np.inf)))
        return float(np.nextafter(self.strangeness[rank - 1], np.float32(np.inf))) if rank else -np.inf

    def moved(self, slope: float, offset: float) -> HeldOut:
        """Return the pictures' strangeness in a form of the network, such as int8, that answers slope · s + offset."""
        return HeldOut(np.sort(np.float32(slope) * self.strangeness + np.float32(offset)), self.of)

    def to_dict(self) -> dict[str, Any]:
        """Return what a manifest keeps."""
        limits = {f"{share:g}": self.limit(share) for share in LIMITS}
        return {
            "method": METHOD,
            "held_out": len(self),
            "of": self.of,
            "limits": limits,  # exact: the next number above a held-out picture's
            "strangeness": [float(f"{value:.9g}") for value in self.strangeness],  # nine digits tell float32 apart
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the pictures of a manifest. Raises ValueError for other values."""
        found = np.asarray(values["strangeness"], np.float32)
        if found.ndim != 1 or not len(found) or not np.isfinite(found).all() or (np.diff(found) < 0).any():
            raise ValueError("its strangeness is not an ascending list of numbers")
        return cls(found, str(values["of"]))

    @cached_property
    def in_words(self) -> str:
        """Description of the calibration for a person."""
        return f"calibrated on {number(len(self))} {self.of}, to {fine_share(self.finest)} at the finest"


def save_typicality(path: Path, training: Training, held_out: HeldOut) -> None:
    """Write both to a .npz file, atomically."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            mean=training.mean,
            directions=training.directions,
            scale=np.float64(training.scale),
            strangeness=held_out.strangeness,
            of=np.array(held_out.of),
        )


def read_typicality(path: Path) -> tuple[Training, HeldOut]:
    """Read a file of `save_typicality`. Raises RunError for any other file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            training = Training(
                kept["mean"].astype(np.float32), kept["directions"].astype(np.float16), float(kept["scale"])
            )
            return training, HeldOut.from_dict({"strangeness": kept["strangeness"], "of": kept["of"]})
    except Exception as error:  # zipfile and numpy raise many kinds
        raise RunError(f"cannot read the typicality of a run, {path}: {error}") from error

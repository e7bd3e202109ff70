"""Parity proof: a bundle answers as its network does, from the picture file to the probabilities."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ParityError
from pennyweight.core.images import Picture, Pixels
from pennyweight.deploy.rounding import ROUNDING_TOLERANCE, Rounding, differences
from pennyweight.runtime import Classifier, Outputs

__all__ = ["MADE_PICTURES", "TOLERANCE", "DisagreementError", "Parity", "prove"]

MADE_PICTURES = 16
"""Number of pictures that are made for a proof where there are no others."""
TOLERANCE = 1e-4
"""Largest allowed difference of a probability."""
LOGIT_TOLERANCE = 1e-3
"""Largest allowed difference of a logit, as a share of how far the logits of a class lie apart. The probabilities of an
untrained network with 1,000 classes are too small to show a difference."""
BATCH = 32
"""Pictures that are compared in one call."""


class DisagreementError(ParityError):
    """Bundle and network that do not agree, with the picture on which they differ most, (1, H, W, C) uint8."""

    def __init__(self, line: str, pixels: Pixels) -> None:
        super().__init__(line)
        self.pixels = pixels


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Result of a parity proof: the differences between a bundle and its network."""

    pictures: int
    """Number of pictures compared."""
    of: str
    """Description of the pictures."""
    largest_probability_difference: float
    largest_logit_difference: float
    same_top1: int
    """Pictures with the same most probable class."""
    tolerance: float = TOLERANCE
    rounding: Rounding | None = None
    """Distances from float64, where the differences exceed TOLERANCE and are rounding."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the manifest keeps them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def prove(
    network: Classifier,
    bundle: Classifier,
    pictures: Sequence[Picture],
    *,
    of: str,
    exact: Callable[[], Classifier] | None = None,
) -> Parity:
    """Compare a network and its bundle on pictures; each of the two decodes every file itself.

    Args:
        network: Classifier with the torch network.
        bundle: Classifier with the exported graph.
        pictures: At least one picture.
        of: Description of the pictures for the manifest.
        exact: Maker of the network in float64. It is called only if the two differ by more than TOLERANCE. They agree
            up to ROUNDING_TOLERANCE if the bundle's answers are about as close to float64 as the network's.

    Returns:
        The largest differences.

    Raises:
        DisagreementError: A probability differs by more than TOLERANCE, a logit by more than LOGIT_TOLERANCE, or the
            top-1 classes of a picture differ where the network prefers its own by more than TOLERANCE.
    """
    expected, received = (_answer(classifier, pictures) for classifier in (network, bundle))
    found = _Differences.of(expected, received)
    parity = Parity(
        pictures=len(pictures),
        of=of,
        largest_probability_difference=found.probability,
        largest_logit_difference=found.logit,
        same_top1=int((expected.probabilities.argmax(1) == received.probabilities.argmax(1)).sum()),
    )
    spread = _spread(expected.logits)
    if found.within(TOLERANCE, LOGIT_TOLERANCE * spread):
        return parity
    rounding = None if exact is None else _rounding(exact(), pictures, expected, received)
    tolerance, more = TOLERANCE, ""
    if rounding is not None and rounding.explains:
        tolerance = ROUNDING_TOLERANCE
        if found.within(tolerance, LOGIT_TOLERANCE * tolerance / TOLERANCE * spread):
            return replace(parity, tolerance=tolerance, rounding=rounding)
    elif rounding is not None:
        more = f"; it is not rounding alone, {rounding}"
    worst = int(np.nan_to_num(differences(expected.logits, received.logits), nan=np.inf).max(axis=1).argmax())
    raise DisagreementError(
        f"the bundle does not answer as the network: probabilities differ by up to {found.probability:.1e} (allowed "
        f"{tolerance:.0e}), logits by {found.logit:.1e} (allowed {LOGIT_TOLERANCE * tolerance / TOLERANCE * spread:.1e}"
        f"), {parity.same_top1} of {parity.pictures} answers are the same{more}",
        network.preprocess(pictures[worst])[None],
    )


@dataclass(frozen=True)
class _Differences:
    """Largest differences between two that answered the same pictures."""

    probability: float
    logit: float
    lead: float
    """Largest probability by which the first one prefers its class to that of the second."""

    @classmethod
    def of(cls, first: Outputs, second: Outputs) -> Self:
        p, q = first.probabilities, second.probabilities
        lead = p.max(axis=1) - p[np.arange(len(p)), q.argmax(axis=1)]
        logits = differences(first.logits, second.logits)
        return cls(float(differences(p, q).max()), float(logits.max()), float(lead.max()))

    def within(self, tolerance: float, of_logits: float) -> bool:
        """Return True if no difference exceeds its limit; False for values that are no numbers."""
        return self.probability <= tolerance and self.lead <= tolerance and self.logit <= of_logits


def _answer(classifier: Classifier, pictures: Sequence[Picture]) -> Outputs:
    """Return the outputs of a classifier on pictures."""
    parts = [
        classifier.engine(np.stack([classifier.preprocess(picture) for picture in pictures[start : start + BATCH]]))
        for start in range(0, len(pictures), BATCH)
    ]
    return Outputs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _rounding(exact: Classifier, pictures: Sequence[Picture], expected: Outputs, received: Outputs) -> Rounding | None:
    """Return the distances from the network in float64; None if it cannot compute so."""
    try:
        return Rounding.of(_answer(exact, pictures), expected, received)
    except RuntimeError:  # of torch: the network mixes float64 with float32 of its own
        return None


def _spread(logits: NDArray[np.float32]) -> float:
    """Return how far apart the logits of a class lie over the pictures, or a hundredth of the largest logit if more.

    A network that gives each picture nearly the same logits keeps only rounding errors of what is large in them.
    """
    finite = np.where(np.isfinite(logits), logits, 0)
    largest = float(np.abs(finite).max())
    return max(float(np.ptp(finite, axis=0).max()), largest if len(logits) == 1 else largest / 100)


def make_pictures(channels: int, count: int = MADE_PICTURES) -> list[Picture]:
    """Make `count` seeded pictures, blotches of many sizes, for a network whose own pictures are not available."""
    draw = np.random.default_rng(0)
    made: list[Picture] = []
    for number in range(count):
        coarse = draw.integers(0, 256, (2 + number, 3 + number, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((64 + 23 * number, 80 + 17 * number), Image.Resampling.BICUBIC)
        if channels in (1, 3):
            file = io.BytesIO()
            (image if channels == 3 else image.convert("L")).save(file, "PNG")
            made.append(file.getvalue())
        else:
            gray = np.asarray(image.convert("L"))
            made.append(np.stack([np.roll(gray, 5 * band, axis=0) for band in range(channels)], axis=-1))
    return made

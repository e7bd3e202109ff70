"""Parity proof: a bundle answers as its network does, from the picture file to the probabilities."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ParityError
from pennyweight.core.images import Picture, Pixels
from pennyweight.runtime import Classifier

__all__ = ["MADE_PICTURES", "TOLERANCE", "DisagreementError", "Parity", "prove"]

MADE_PICTURES = 16
"""Number of pictures that are made for a proof where there are no others."""
TOLERANCE = 1e-4
"""Largest allowed difference of a probability."""
LOGIT_TOLERANCE = 1e-3
"""Largest allowed difference of a logit, as a share of how far the logits of a class lie apart. The probabilities of an
untrained network with 1,000 classes are too small to show a difference."""


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

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the manifest keeps them."""
        return asdict(self)


def prove(network: Classifier, bundle: Classifier, pictures: Sequence[Picture], *, of: str) -> Parity:
    """Compare a network and its bundle on pictures; each of the two decodes every file itself.

    Args:
        network: Classifier with the torch network.
        bundle: Classifier with the exported graph.
        pictures: At least one picture.
        of: Description of the pictures for the manifest.

    Returns:
        The largest differences.

    Raises:
        DisagreementError: A probability differs by more than TOLERANCE, a logit by more than LOGIT_TOLERANCE, or the
            top-1 classes of a picture differ where the network prefers its own by more than TOLERANCE.
    """
    expected, received = (
        [
            classifier.engine(np.stack([classifier.preprocess(picture) for picture in pictures[start : start + 32]]))
            for start in range(0, len(pictures), 32)
        ]
        for classifier in (network, bundle)
    )
    p, q = (np.concatenate([outputs.probabilities for outputs in group]) for group in (expected, received))
    a, b = (np.concatenate([outputs.logits for outputs in group]) for group in (expected, received))
    logits = _differences(a, b)
    parity = Parity(
        pictures=len(pictures),
        of=of,
        largest_probability_difference=float(_differences(p, q).max()),
        largest_logit_difference=float(logits.max()),
        same_top1=int((p.argmax(1) == q.argmax(1)).sum()),
    )
    lead = p.max(axis=1) - p[np.arange(len(p)), q.argmax(axis=1)]
    allowed = LOGIT_TOLERANCE * _spread(a)
    if not (
        parity.largest_probability_difference <= TOLERANCE
        and lead.max() <= TOLERANCE
        and parity.largest_logit_difference <= allowed
    ):
        worst = int(np.nan_to_num(logits, nan=np.inf).max(axis=1).argmax())
        raise DisagreementError(
            f"the bundle does not answer as the network: probabilities differ by up to "
            f"{parity.largest_probability_difference:.1e} (allowed {TOLERANCE:.0e}), logits by "
            f"{parity.largest_logit_difference:.1e} (allowed {allowed:.1e}), "
            f"{parity.same_top1} of {parity.pictures} answers are the same",
            network.preprocess(pictures[worst])[None],
        )
    return parity


def _spread(logits: NDArray[np.float32]) -> float:
    """Return how far apart the logits of a class lie over the pictures, or a hundredth of the largest logit if more.

    A network that gives each picture nearly the same logits keeps only rounding errors of what is large in them.
    """
    finite = np.where(np.isfinite(logits), logits, 0)
    largest = float(np.abs(finite).max())
    return max(float(np.ptp(finite, axis=0).max()), largest if len(logits) == 1 else largest / 100)


def _differences(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the absolute differences; equal infinities, such as the logits of masked classes, do not differ."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, np.float32(0), np.abs(a - b))


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

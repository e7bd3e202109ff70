"""Parity proof: a bundle answers as its network does, from the picture file to the probabilities."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from pennyweight.core.errors import ParityError
from pennyweight.core.images import Picture, Pixels
from pennyweight.runtime import Classifier

__all__ = ["TOLERANCE", "DisagreementError", "Parity", "prove"]

TOLERANCE = 1e-4
"""Largest allowed difference of a probability."""


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
        DisagreementError: A probability differs by more than TOLERANCE, or the top-1 classes differ where the network
            prefers its own by more than TOLERANCE.
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
    parity = Parity(
        pictures=len(pictures),
        of=of,
        largest_probability_difference=float(np.abs(p - q).max()),
        largest_logit_difference=float(np.abs(a - b).max()),
        same_top1=int((p.argmax(1) == q.argmax(1)).sum()),
    )
    rows = np.arange(len(p))
    lead = p.max(axis=1) - p[rows, q.argmax(axis=1)]
    if not (parity.largest_probability_difference <= TOLERANCE and lead.max() <= TOLERANCE):
        worst = int(np.nan_to_num(np.abs(p - q), nan=np.inf).max(axis=1).argmax())
        raise DisagreementError(
            f"the bundle does not answer as the network: probabilities differ by up to "
            f"{parity.largest_probability_difference:.1e} (allowed {TOLERANCE:.0e}), "
            f"{parity.same_top1} of {parity.pictures} answers are the same",
            network.preprocess(pictures[worst])[None],
        )
    return parity


def make_pictures(channels: int, count: int = 16) -> list[Picture]:
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

"""Proof that a bundle answers as its network does, from the picture file to the probabilities."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from pennyweight.core.errors import ParityError
from pennyweight.core.images import Picture
from pennyweight.runtime import Classifier

__all__ = ["TOLERANCE", "Parity", "prove"]

TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far two classifiers were apart on `pictures`."""

    pictures: int
    of: str
    """What the pictures were."""
    largest_probability_difference: float
    largest_logit_difference: float
    same_top1: int
    tolerance: float = TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return asdict(self)


def prove(network: Classifier, bundle: Classifier, pictures: Sequence[Picture], *, of: str) -> Parity:
    """Compare both on `pictures`, each reading every file itself.

    Raises ParityError when a probability differs by more than TOLERANCE, or a top-1 answer whose lead is
    larger than that differs.
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
        raise ParityError(
            f"the bundle does not answer as the network: probabilities differ by up to "
            f"{parity.largest_probability_difference:.1e} (allowed {TOLERANCE:.0e}), "
            f"{parity.same_top1} of {parity.pictures} answers are the same; nothing was written"
        )
    return parity


def make_pictures(channels: int, count: int = 16) -> list[Picture]:
    """Return seeded pictures for a network whose own pictures are not at hand: blotches of many sizes."""
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
            grey = np.asarray(image.convert("L"))
            made.append(np.stack([np.roll(grey, 5 * band, axis=0) for band in range(channels)], axis=-1))
    return made

"""Pictures that are least like the others that a network was taught, for its report: often wrong files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pennyweight.core.figures import fine_share, number
from pennyweight.core.images import Pixels
from pennyweight.core.typicality import LEAST_TYPICAL

__all__ = ["LeastTypical", "OddPicture", "Part"]

Part = Literal["training", "validation", "test", "out_of_fold"]
"""Split, or the pictures that folds left out."""


class OddPicture(NamedTuple):
    """Picture with its `typical`. `image` is (H, W, C) uint8 with one channel (gray) or three (RGB)."""

    image: Pixels
    name: str
    label: str
    typical: float


@dataclass(frozen=True, kw_only=True)
class LeastTypical:
    """The least typical pictures of each split, the least first."""

    training: Sequence[OddPicture] = ()
    """Measured by directions that the other training pictures gave."""
    validation: Sequence[OddPicture] = ()
    """Compared with the other validation pictures."""
    test: Sequence[OddPicture] = ()
    out_of_fold: Sequence[OddPicture] = ()
    """Measured and answered without themselves, and compared with the others."""
    calibration: str
    """Line on the held-out pictures."""
    least_typical: float = LEAST_TYPICAL
    """Share of good pictures below the threshold, as finely as the held-out pictures can tell."""
    drawn: Mapping[Part, tuple[int, int]] = field(default_factory=dict)
    """Number of pictures that were measured, and of all, where some were drawn."""

    @property
    def expected(self) -> str:
        """Sentence on the good pictures that are untypical by chance."""
        if self.least_typical <= LEAST_TYPICAL:
            return "Of a hundred good pictures, about one is 1% typical or less"
        finest = fine_share(self.least_typical)
        return f"About {finest} of good pictures are {finest} typical or less, and no picture can be less typical"

    @property
    def parts(self) -> list[tuple[str, str, Sequence[OddPicture]]]:
        """Heading, note and pictures of each split that has any."""
        seen = (
            "Each picture is measured without itself, but the network has learned from it: it looks a little more "
            "typical than a new one."
        )
        unseen = "Each picture is measured and answered without itself."
        found: list[tuple[Part, str, str, Sequence[OddPicture]]] = [
            ("training", "Training", seen, self.training),
            ("validation", "Validation", "Each picture is compared with the others.", self.validation),
            ("test", "Test", "No test picture was used before.", self.test),
            ("out_of_fold", "Scored in folds", unseen, self.out_of_fold),
        ]
        return [(heading, self._measured(part) + note, odd) for part, heading, note, odd in found if odd]

    def _measured(self, part: Part) -> str:
        """Return the sentence on a part of which only some pictures were measured; empty for all of them."""
        if part not in self.drawn:
            return ""
        count, whole = map(number, self.drawn[part])
        return f"{count} pictures, drawn from {whole}, were measured. "

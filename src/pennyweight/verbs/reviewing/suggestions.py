"""Result of `suggest`: pictures to label next, the most useful first."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pennyweight.core.data_frame import data_frame
from pennyweight.core.figures import number, several, share
from pennyweight.core.files import atomic
from pennyweight.core.summary import Facts, Summary

__all__ = ["SuggestedPicture", "Suggestions"]

NAMED = 5


@dataclass(frozen=True, kw_only=True)
class SuggestedPicture:
    """Picture whose label would teach much."""

    picture: str
    """Path of the picture."""
    answer: str
    """Class that is most probable now."""
    probability: float
    uncertainty: float
    """Entropy of the probabilities as a share of the highest one, 0 to 1."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Suggestions(Summary):
    """Pictures to label next, in the order in which their labels help most."""

    source: str
    labels: tuple[str, ...]
    pictures: tuple[SuggestedPicture, ...]
    considered: int
    """Number of the pictures that they were chosen from."""
    known: int
    """Number of pictures that were left out: labeled already, twins of such, or twins of each other."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self) | {"labels": list(self.labels), "pictures": [asdict(each) for each in self.pictures]}

    def to_frame(self) -> Any:
        """Return the pictures as a pandas DataFrame.

        Raises:
            MissingPart: pandas is not installed.
        """
        return data_frame(self.pictures, considered=self.considered, known=self.known)

    def write_csv(self, path: Path) -> None:
        """Write a table with the columns path and label; `fit` reads it once the empty label is filled in.

        Args:
            path: File to write.
        """
        heading = ("path", "label", "answer", "probability", "uncertainty")
        with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(heading)
            for each in self.pictures:
                place = Path(each.picture).resolve()
                table.writerow([place, "", each.answer, f"{each.probability:.4f}", f"{each.uncertainty:.4f}"])

    def _facts(self) -> Facts:
        yield "pictures", f"{number(len(self.pictures))} of {number(self.considered)} of {self.source}"
        if self.known:
            yield (
                "left out",
                f"{several(self.known, 'picture')} that {'is' if self.known == 1 else 'are'} known already",
            )
        for each in self.pictures[:NAMED]:
            yield each.picture, f"{each.answer} ({share(each.probability)})"

"""Result of `review`: every picture, those whose label is least likely right first."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pennyweight.core.data_frame import data_frame
from pennyweight.core.figures import number, share
from pennyweight.core.files import atomic
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.text import no_formula
from pennyweight.data.corrections import Correction

__all__ = ["Review", "ReviewedPicture"]

NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ReviewedPicture:
    """Picture with the answers that speak for and against its label."""

    picture: str
    """Name of the picture in its source."""
    label: str
    answer: str
    """Class that is most probable to heads which had not seen the picture."""
    quality: float
    """Mean of the probability that these heads, and the nearest pictures, give to the label: 0 to 1."""
    label_probability: float
    answer_probability: float
    nearest_other: str
    """Name of the nearest picture of another class."""
    nearest_other_label: str
    similarity: float
    """Cosine between the features of these two, -1 to 1."""
    digest: str
    """SHA-256 of the content."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Review(Summary):
    """Pictures of a source in the order of `quality`, the likeliest label errors first."""

    source: str
    labels: tuple[str, ...]
    pictures: tuple[ReviewedPicture, ...]
    likely_errors: int
    """Number of labels that are probably wrong, by confident learning."""
    notes: tuple[str, ...] = ()
    earlier: Mapping[tuple[str, str], Correction] = field(default_factory=dict)
    """Corrections that the source was opened with, by the picture's name and digest."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, without the earlier corrections."""
        return {
            "source": self.source,
            "labels": list(self.labels),
            "likely_errors": self.likely_errors,
            "notes": list(self.notes),
            "pictures": [asdict(each) for each in self.pictures],
        }

    def to_frame(self) -> Any:
        """Return the pictures as a pandas DataFrame, with `likely_errors` in its `attrs`.

        Raises:
            MissingPart: pandas is not installed.
        """
        return data_frame(self.pictures, likely_errors=self.likely_errors)

    def write_csv(self, path: Path) -> None:
        """Write the pictures as a table whose columns correct_label and leave_out are to be filled in.

        Corrections that the source was opened with are filled in already.

        Args:
            path: File to write.
        """
        rows = [_row(each, self.earlier.get((each.picture, each.digest))) for each in self.pictures]
        there = {(each.picture, each.digest) for each in self.pictures}
        heading = [*rows[0]]
        for key, one in self.earlier.items():
            if key not in there:
                rows.append(dict.fromkeys(heading, "") | earlier_row(one))
        with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.DictWriter(file, heading, lineterminator="\n")
            table.writeheader()
            table.writerows({name: no_formula(text) for name, text in row.items()} for row in rows)

    def _facts(self) -> Facts:
        yield "source", self.source
        yield "pictures", number(len(self.pictures))
        yield "likely label errors", number(self.likely_errors)
        for each in self.pictures[:NAMED]:
            yield each.picture, f"labeled {each.label}, answered {each.answer} ({share(each.answer_probability)})"


def earlier_row(one: Correction) -> dict[str, str]:
    """Return an earlier correction as the columns of the table that it came from."""
    return {
        "picture": one.picture,
        "correct_label": one.label,
        "leave_out": "yes" if one.leave_out else "",
        "digest": one.digest,
    }


def _row(each: ReviewedPicture, earlier: Correction | None) -> dict[str, str]:
    """Return the row of a picture; figures have four digits."""
    values = asdict(each)
    filled = {} if earlier is None else earlier_row(earlier)
    said = {name: filled.get(name, "") for name in ("correct_label", "leave_out")}
    first: Sequence[str] = ("picture", "label", "answer")
    texts = {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in values.items()}
    return {name: texts[name] for name in first} | said | {name: texts[name] for name in texts if name not in first}

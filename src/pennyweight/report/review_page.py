"""Page on which a person decides about labels: pictures in lists, each with choices, saved as a table."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.images import Pixels
from pennyweight.report.render import FOLDER, render

__all__ = ["Card", "Lookalike", "Section", "review_page"]

OFFERED = 5
"""Other classes that a card offers by themselves; a list has the rest."""


@dataclass(frozen=True)
class Lookalike:
    """Picture next to another one, which it looks like."""

    label: str
    name: str
    image: Pixels | None
    """(h, w, 3) uint8; None for a picture that cannot be shown."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Picture about whose label a person decides."""

    picture: str
    digest: str
    label: str
    image: Pixels | None
    answers: Sequence[tuple[str, float]]
    """Every class with its probability, the most probable first."""
    label_probability: float
    nearest: Sequence[Lookalike]

    @property
    def others(self) -> list[str]:
        """Names of the other classes, the most probable first."""
        return [label for label, _ in self.answers if label != self.label]

    @property
    def offered(self) -> list[str]:
        """Names of the other classes that are choices by themselves."""
        return self.others if len(self.others) <= OFFERED + 1 else self.others[:OFFERED]

    @property
    def listed(self) -> list[str]:
        """Names of the other classes that a list has, by name."""
        return sorted(self.others[len(self.offered) :])


@dataclass(frozen=True)
class Section:
    """List of pictures under a heading."""

    title: str
    meaning: str
    cards: Sequence[Card]


def review_page(
    *,
    source: str,
    address: str,
    fingerprint: str,
    labels: Sequence[str],
    pictures: int,
    likely_errors: int,
    notes: Sequence[str],
    earlier: Sequence[Mapping[str, str]],
    sections: Sequence[Section],
) -> str:
    """Return the page.

    Its script counts and saves the choices; the policy of the page allows this script alone, by its SHA-256. Without
    scripts the page can be read.

    Args:
        source: Name of the source.
        address: Text that names the source in a command.
        fingerprint: Fingerprint of the source, by which the browser keeps choices until they are saved.
        labels: Names of the classes.
        pictures: Number of pictures that were ranked.
        likely_errors: Number of labels that are probably wrong.
        notes: Lines on the ranking.
        earlier: Rows of the table that the source was corrected by; the saved table has them too.
        sections: Lists of pictures.
    """
    script = Path(FOLDER, "review.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return render(
        "review.html",
        source=source,
        address=address,
        fingerprint=fingerprint,
        labels=labels,
        pictures=pictures,
        likely_errors=likely_errors,
        notes=notes,
        earlier=earlier,
        sections=sections,
        shown=sum(len(section.cards) for section in sections),
        script=script,
        script_digest=digest,
    )

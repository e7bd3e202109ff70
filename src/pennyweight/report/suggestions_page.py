"""Contact sheet of the pictures to label next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pennyweight.core.images import Pixels
from pennyweight.report.render import render

__all__ = ["Suggested", "suggestions_page"]


class Suggested(NamedTuple):
    """Picture without a label."""

    picture: str
    answer: str
    """Class that is most probable now."""
    probability: float
    image: Pixels | None
    """(h, w, 3) uint8; None for a picture that cannot be shown."""


def suggestions_page(source: str, pictures: Sequence[Suggested], *, considered: int, known: int) -> str:
    """Return the page.

    Args:
        source: Name of the folder.
        pictures: The pictures, the most useful first.
        considered: Number of pictures that they were chosen from.
        known: Number of pictures that were left out, because a labeled picture or another one shows the same.
    """
    return render("suggestions.html", source=source, pictures=pictures, considered=considered, known=known)

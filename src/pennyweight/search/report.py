"""Page of a search, from its result."""

from __future__ import annotations

from pennyweight.report.picks_page import picks_page
from pennyweight.search.picks import Picks, exceeds

__all__ = ["report_of"]


def report_of(found: Picks) -> str:
    """Return the page of a search."""
    where = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    reasons = [exceeds(row, found.budget) for row in found.nearest]
    return picks_page(found.to_dict(), reasons=reasons, conditions=(f"on {found.conditions}", where, *found.notes))

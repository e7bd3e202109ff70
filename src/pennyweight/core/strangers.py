"""Rule for pictures that are unlike anything the network was taught: flag, refuse or ignore."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pennyweight.core.errors import InputError, nearest
from pennyweight.core.figures import fine_share
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.reasons import UNANSWERED
from pennyweight.core.typicality import HeldOut

__all__ = ["StrangerRule", "Strangers", "unlike_line"]

Strangers = Literal["flag", "refuse", "ignore"]
PRECISION = 1e-4
"""Step of the shares that an error advises, of which a percentage shows two decimals."""
TINY = 1e-12
"""Difference of two shares that is rounding."""


@dataclass(frozen=True)
class StrangerRule:
    """Rule for strangers. Raises InputError for an unknown name, or a share that is none."""

    strangers: str = "flag"
    """"flag" answers and marks them, "refuse" gives a Failure, "ignore" does not look for them."""
    least_typical: float | None = None
    """Largest `typical` of a stranger, above 0 and below 1; None for the default of the held-out pictures."""

    def __post_init__(self) -> None:
        names = get_args(Strangers)
        if self.strangers not in names:
            close = nearest(str(self.strangers), names, otherwise=f"; there are {', '.join(names)}")
            raise InputError(f"unknown rule '{self.strangers}' for strangers{close}")
        share = self.least_typical
        if share is not None and (isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1):
            raise InputError(f"least_typical must be a share above 0 and below 1, such as 0.01, not {share!r}")
        if share is not None and self.strangers == "ignore":
            raise InputError("least_typical decides who is a stranger, and strangers are ignored; leave one out")

    @property
    def needs_typicality(self) -> bool:
        """True for a rule that makes no sense without `typical`."""
        return self.strangers == "refuse" or self.least_typical is not None

    def require(self, held_out: HeldOut | None, why: str | None = None) -> None:
        """Raise InputError where the network's held-out pictures cannot tell what the rule asks for.

        `why` is the reason that there are none, where it is not the network's training.
        """
        if held_out is None and self.needs_typicality:
            raise InputError(
                why
                or "this network does not know how typical a picture is: published weights, whole networks in folds "
                "and earlier versions do not; leave strangers and least_typical out, or train and export it again"
            )
        if held_out is not None and self.least_typical is not None and self.least_typical < held_out.finest - TINY:
            least = math.ceil(held_out.finest / PRECISION - TINY) * PRECISION
            raise InputError(
                f"least_typical {self.least_typical:g} is finer than {len(held_out)} held-out pictures can tell; take "
                f"{least:.4f}, which is {fine_share(least)}, or more"
            )

    def limit(self, held_out: HeldOut) -> float:
        """Return the largest `typical` of a stranger."""
        return held_out.least_typical if self.least_typical is None else self.least_typical

    def is_strange(self, answer: Prediction | Failure, held_out: HeldOut | None) -> bool:
        """Return True for the answer to a picture that is unlike anything the network was taught, or its refusal."""
        if held_out is None or answer.typical is None or self.strangers == "ignore":
            return False
        return self.is_unlike(answer.typical, held_out)

    def is_unlike(self, typical: float, held_out: HeldOut) -> bool:
        """Return True for the `typical` of a stranger."""
        return typical <= self.limit(held_out) + TINY

    def apply(self, answer: Prediction, held_out: HeldOut | None) -> Prediction | Failure:
        """Return the answer, or with "refuse" a Failure in place of the answer to a stranger."""
        if self.strangers != "refuse" or not self.is_strange(answer, held_out):
            return answer
        error = f"{UNANSWERED}{answer.source}: {unlike_line(answer.typical)}"
        return Failure(source=answer.source, error=error, typical=answer.typical)


def unlike_line(typical: float | None) -> str:
    """Return the words for a stranger with its `typical`."""
    return f"it is unlike anything the network was taught ({fine_share(typical)} typical)"

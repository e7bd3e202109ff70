"""Classes that a network tells apart, pair by pair, and the pairs that a change of the pictures costs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.intervals import CONFIDENCE, surely_below

__all__ = ["ToldApart", "told_apart"]

LEAST = 0.7
"""Share of the pictures of two classes from which on the two count as told apart."""
CHANCE = 0.5
HALF = 0.75
"""Share with half of the gain over chance."""
FALSE_ALARM = 0.05
"""Probability that luck alone puts any pair below a share."""


@dataclass(frozen=True)
class ToldApart:
    """Answers of a network for every pair of classes, as if there were these two alone."""

    shares: NDArray[np.float64]
    """(K, K): share of the pictures of the row's class that look more like it than like the column's class."""
    counts: NDArray[np.int64]
    """(K,) number of scored pictures of each class."""

    @property
    def pairs(self) -> NDArray[np.float64]:
        """(K, K), upper triangle: share of two classes' pictures that are right, each class weighing the same."""
        return np.where(self._scored, (self.shares + self.shares.T) / 2, 0.0)

    @property
    def number(self) -> tuple[int, int]:
        """(Pairs of classes that are told apart, pairs of classes that were scored)."""
        return int((self.pairs >= LEAST).sum()), int(self._scored.sum())

    @property
    def untold(self) -> list[tuple[int, int]]:
        """Pairs of classes that were scored and are not told apart."""
        return [(one, other) for one, other in np.argwhere(self._scored & (self.pairs < LEAST)).tolist()]

    @property
    def least(self) -> float:
        """Share of right pictures in the pair of classes with the lowest share."""
        return float(min(self.pairs[self._scored], default=0.0))

    def suffers(self, changed: ToldApart, left: float, least: float = LEAST) -> NDArray[np.bool_]:
        """Mask the pairs told apart here of whose gain over chance less than `left` is left in `changed`. (K, K)"""
        found: NDArray[np.bool_] = (self.pairs >= least) & (changed.pairs < self._limit(left))
        return found

    def falls(self, changed: ToldApart) -> NDArray[np.bool_]:
        """Mask the pairs that are right less often in `changed`, by more than luck explains. (K, K)

        One right and one wrong picture are added to the unchanged ones: a few right pictures may be luck as well.
        """
        count = self._trials
        return changed._surely_below((self.pairs * count + 1) / (count + 2), self.number[0])

    def surely_keeps(self, changed: ToldApart, left: float) -> NDArray[np.bool_]:
        """Mask the pairs of whose gain over chance surely more than `left` is left in `changed`. (K, K)"""
        count = changed._trials
        wrong = (1 - changed.pairs) * count
        return changed._scored & surely_below(1 - self._limit(left), wrong, np.maximum(count, 1), CONFIDENCE)

    def _limit(self, left: float) -> NDArray[np.float64]:
        """Return the share at which `left` of the gain over chance is left. (K, K)"""
        return CHANCE + left * (self.pairs - CHANCE)

    @property
    def below_chance(self) -> NDArray[np.bool_]:
        """Mask the pairs of which surely more pictures look like the other class than like their own. (K, K)"""
        return self._surely_below(CHANCE, int((self.counts > 0).sum()) - 1)

    @property
    def below_half(self) -> NDArray[np.bool_]:
        """Mask the pairs that surely have less than half of the gain over chance, among all pairs. (K, K)"""
        return self._surely_below(HALF, self.number[1])

    def _surely_below(self, share: float | NDArray[np.float64], trials: int) -> NDArray[np.bool_]:
        """Mask the pairs whose accuracy lies below `share` by more than luck explains, over all pairs."""
        count, confidence = self._trials, 1 - FALSE_ALARM / max(1, trials)
        return self._scored & surely_below(share, self.pairs * count, np.maximum(count, 1), confidence)

    @property
    def _trials(self) -> NDArray[np.float64]:
        """Number of pictures of each pair. Of unequal classes, two classes of half as many would say as much. (K, K)"""
        a, b = self.counts[:, None].astype(np.float64), self.counts.astype(np.float64)
        return np.asarray(4 * a * b / np.maximum(a + b, 1))

    @property
    def _scored(self) -> NDArray[np.bool_]:
        """Mask the pairs of classes with pictures. (K, K), upper triangle"""
        return np.triu(np.outer(self.counts > 0, self.counts > 0), 1)


def told_apart(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> ToldApart:
    """Compare each picture's logit of its own class with all others. (N, K) logits, (N,) classes."""
    classes = logits.shape[1]
    shares, counts = np.zeros((classes, classes)), np.bincount(targets, minlength=classes)
    for each in np.flatnonzero(counts).tolist():
        rows = logits[targets == each]
        own = rows[:, [each]]
        shares[each] = ((own > rows) + 0.5 * (own == rows)).mean(0)
    return ToldApart(shares, counts)

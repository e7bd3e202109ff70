"""Logistic regression on features: a last layer for few pictures, whose penalty is chosen in folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.train.logistic_solver import MEMORY, Regressions, minimize

__all__ = [
    "LEAST_FOLDS",
    "STRENGTHS",
    "FoldedHeads",
    "Head",
    "answer_in_folds",
    "answer_left_out",
    "count_heads",
    "learn_in_folds",
]

STRENGTHS = tuple(float(10 ** (power / 2)) for power in range(-1, 9))
"""Inverse penalties that are tried, 0.3 to 10,000, for features with a variance of 1 in all."""
LEAST_FOLDS = 3
"""Folds without one, of which the others still have two to choose a penalty by."""
AT_ONCE = 2_000_000
"""Numbers of the heads that learn at once, 16 MB: they then share matrix products."""
UNKNOWN = -30.0
"""Logit of a class that no picture of the other folds has."""

Values = NDArray[np.float64]
Rows = NDArray[np.bool_]


class Head(NamedTuple):
    """Weights of a last linear layer."""

    weight: NDArray[np.float32]
    """(classes, features)."""
    bias: NDArray[np.float32]
    """(classes,)."""

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of features. (N, features) -> (N, classes)"""
        return values @ self.weight.T + self.bias


@dataclass(frozen=True, kw_only=True)
class FoldedHeads:
    """Head that learned from all pictures, and the answers of heads that had not seen a fold."""

    head: Head
    logits: NDArray[np.float32]
    """(N, classes): of each picture, by the head that learned from the other folds."""
    strength: float
    """Inverse penalty of `head`."""
    strengths: tuple[float, ...]
    """Inverse penalty of each fold's head, chosen in the other folds."""


def learn_in_folds(
    plain: NDArray[np.float32],
    targets: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    classes: int,
    views: NDArray[np.float32] | None = None,
    class_weights: NDArray[np.float32] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> FoldedHeads:
    """Learn a logistic regression from all pictures, and one without each fold that answers this fold.

    A head's penalty is chosen among the folds that it learns from: of every penalty, heads that learned from all but
    one of these folds answer that one, and the lowest mean loss wins. So a fold never chooses the penalty of the head
    that answers it. A head without two folds serves both of these, which leaves 16 heads of each penalty for 5 folds.

    Args:
        plain: (N, features) of the unchanged pictures, which are answered.
        targets: (N,) classes.
        folds: (N,) numbers of the folds, at least three.
        classes: Number of classes.
        views: (V, N, features) of augmented views to learn from; None to learn from `plain`.
        class_weights: (classes,) weights in the loss; None for equal ones.
        advance: Called with 1 after every head, `count_heads` times.

    Raises:
        InputError: There are fewer than three folds.
    """
    learned = _Learned(_Basis.of(plain, views), targets, classes, class_weights, advance)
    answers, chosen, best = _nested(learned, folds)
    return FoldedHeads(
        head=learned.head(best),
        logits=answers,
        strength=STRENGTHS[best],
        strengths=tuple(STRENGTHS[number] for number in chosen),
    )


def answer_in_folds(
    plain: NDArray[np.float32],
    targets: NDArray[np.int64],
    folds: NDArray[np.int64],
    teaching: Rows,
    *,
    classes: int,
    class_weights: NDArray[np.float32] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Return the logits of every picture in folds whose heads learned from the `teaching` pictures (N,) alone.

    These choose the penalties too. The other arguments are those of `learn_in_folds`. -> (N, classes)
    """
    learned = _Learned(_Basis.of(plain, None), targets, classes, class_weights, advance, teaching)
    return _nested(learned, folds)[0]


def answer_left_out(
    plain: NDArray[np.float32],
    targets: NDArray[np.int64],
    left_out: Sequence[Rows],
    *,
    strength: float,
    classes: int,
    views: NDArray[np.float32] | None = None,
    class_weights: NDArray[np.float32] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[NDArray[np.float32]]:
    """Return the logits of pictures by heads of one strength that learned from all others.

    Args:
        plain: (N, features), as are the other arguments those of `learn_in_folds`.
        targets: (N,) classes.
        left_out: Pictures (N,) that a head leaves out and answers, one after the other.
        strength: Inverse penalty, one of STRENGTHS.
        classes: Number of classes.
        views: (V, N, features) of augmented views to learn from.
        class_weights: (classes,) weights in the loss.
        advance: Called with the number of heads that have learned.

    Returns:
        (n, classes) for each of `left_out`.
    """
    if not left_out:
        return []
    learned = _Learned(_Basis.of(plain, views), targets, classes, class_weights, advance)
    path = STRENGTHS[: STRENGTHS.index(strength) + 1]
    return [answers[-1].astype(np.float32) for answers in learned.answers(left_out, path)]


def _nested(learned: _Learned, folds: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[int], int]:
    """Return the logits in folds, the number of each fold's strength, and that of the head of all pictures."""
    numbers, targets = np.unique(folds).tolist(), learned.targets
    if len(numbers) < LEAST_FOLDS:
        raise InputError(f"a penalty that is chosen in folds needs at least {LEAST_FOLDS}, not {len(numbers)}")
    counted = {fold: learned.teaching[folds == fold] for fold in numbers}

    def losses(logits: Values, fold: int) -> Values:
        """Return the loss of every strength on the teaching pictures of a fold."""
        return _loss(logits[:, counted[fold]], targets[folds == fold][counted[fold]])

    pairs = list(combinations(numbers, 2))
    found = learned.answers([np.isin(folds, left) for left in (*([fold] for fold in numbers), *pairs)])
    alone = dict(zip(numbers, found, strict=False))  # (strengths, n, classes)
    inner: dict[tuple[int, int], Values] = {}
    for (one, other), answers in zip(pairs, found[len(numbers) :], strict=True):
        of_one = folds[np.isin(folds, (one, other))] == one
        inner[one, other], inner[other, one] = answers[:, ~of_one], answers[:, of_one]
    logits, chosen = np.zeros((len(targets), learned.classes), np.float32), []
    for fold in numbers:
        total = sum(losses(inner[fold, other], other) for other in numbers if other != fold)
        chosen.append(int(np.argmin(total)))
        logits[folds == fold] = alone[fold][chosen[-1]]
    return logits, chosen, int(np.argmin(sum(losses(alone[fold], fold) for fold in numbers)))


def count_heads(folds: int) -> int:
    """Return how many heads `learn_in_folds` fits, all penalties of a head counted as one."""
    return folds * (folds - 1) // 2 + folds + 1


def _loss(logits: Values, targets: NDArray[np.int64]) -> Values:
    """Return the summed cross-entropy for each strength. (S, n, classes), (n,) -> (S,)"""
    highest = logits.max(axis=-1)
    total = highest + np.log(np.exp(logits - highest[..., None]).sum(axis=-1))
    found: Values = (total - logits[:, np.arange(len(targets)), targets]).sum(axis=1)
    return found


@dataclass(frozen=True)
class _Basis:
    """Features in the few dimensions that the pictures span, where logistic regression is small and exact."""

    rows: Values
    """(R, r) coordinates of the pictures to learn from, each scaled to length one; their views one after the other."""
    plain: Values
    """(N, r) coordinates of the unchanged pictures, whose mean length is one."""
    turn: Values
    """(r, features): the weights of a head are coefficients times it."""

    @classmethod
    def of(cls, plain: NDArray[np.float32], views: NDArray[np.float32] | None) -> _Basis:
        """Scale each row to learn from to length one, and turn it; the spread of the rows has a mean square of one.

        Heads are 0.1 to 1.4 points more accurate than on rows of their own lengths: docs/measured/few-pictures.md.
        """
        values = (plain if views is None else views.reshape(-1, plain.shape[1])).astype(np.float64)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        values = values / np.maximum(lengths, 1e-12)
        spread = float(np.sqrt(np.square(values - values.mean(axis=0)).sum(axis=1).mean())) or 1.0
        left, sizes, turn = np.linalg.svd(values / spread, full_matrices=False)
        keep = sizes > sizes[:1].sum() * 1e-7
        turn = turn[keep] / (spread * (float(lengths.mean()) or 1.0))
        return cls(left[:, keep] * sizes[keep], plain @ turn.T, turn)


class _Learned:
    """Logistic regressions of every strength on some of the pictures."""

    def __init__(
        self,
        basis: _Basis,
        targets: NDArray[np.int64],
        classes: int,
        class_weights: NDArray[np.float32] | None,
        advance: Callable[[int], None],
        teaching: Rows | None = None,
    ) -> None:
        self.basis, self.targets, self.classes = basis, targets, classes
        self.class_weights, self.advance = class_weights, advance
        self.teaching = np.ones(len(targets), np.bool_) if teaching is None else teaching
        """(N,): pictures that heads may learn from."""
        self.rows = np.concatenate([basis.rows, np.ones((len(basis.rows), 1))], axis=1)
        self.repeats = len(basis.rows) // len(targets)
        self.labels = np.eye(classes)[targets]

    def answers(self, left_out: Sequence[Rows], strengths: Sequence[float] = STRENGTHS) -> list[Values]:
        """Learn without each of these pictures (N,), and return their logits for each strength. -> (S, n, classes)"""
        found: list[Values] = []
        each = self.classes * (len(self.rows) + 2 * MEMORY * self.rows.shape[1])
        at_once = max(1, AT_ONCE // each)
        for start in range(0, len(left_out), at_once):
            own = left_out[start : start + at_once]
            heads = self._path(np.stack([self.teaching & ~rows for rows in own]), strengths)
            for number, rows in enumerate(own):
                weight, bias = heads[:, number, :, :-1], heads[:, number, :, -1]
                found.append(self.basis.plain[rows] @ weight.swapaxes(1, 2) + bias[:, None])
            self.advance(len(own))
        return found

    def head(self, number: int) -> Head:
        """Learn from all pictures with the strength of this number."""
        last = self._path(self.teaching[None], STRENGTHS[: number + 1])[-1, 0]
        self.advance(1)
        weight, bias = last[:, :-1] @ self.basis.turn, last[:, -1]
        return Head(weight.astype(np.float32), bias.astype(np.float32))

    def _path(self, taught: NDArray[np.bool_], strengths: Sequence[float]) -> Values:
        """Return the heads of each strength that learned from `taught` (B, N). -> (S, B, classes, r + 1)"""
        from threadpoolctl import threadpool_limits

        counts = taught @ self.labels
        # A class keeps its weight without a fold; else its pictures there would be answered as those of others. A
        # picture counts once, however many views it has.
        balance = (self.teaching @ self.labels) / np.maximum(counts, 1)
        if self.class_weights is not None:
            balance = balance * self.class_weights
        weights = taught * (balance @ self.labels.T)
        total = np.maximum(weights.sum(axis=1), 1e-12)
        shared = np.tile(weights / (total * self.repeats)[:, None], self.repeats)
        offsets = np.where(counts > 0, 0.0, UNKNOWN)
        heads, found = np.zeros((len(taught), self.classes, self.rows.shape[1])), []
        labels = np.tile(self.labels, (self.repeats, 1))
        # On a second thread such small products wait longer than they compute, and their bits would follow the threads.
        with threadpool_limits(1):
            for strength in strengths:
                # scikit-learn has one row of weights for two classes, where two rows have half its penalty
                penalties = (2 if self.classes == 2 else 1) / (strength * total)
                heads = minimize(Regressions(self.rows, labels, shared, penalties, offsets), heads)
                found.append(heads)
        stacked = np.stack(found)
        stacked[..., -1] += offsets
        return stacked

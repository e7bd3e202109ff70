"""Logistic regression on features: a last layer for few pictures, whose penalty is chosen in folds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError

__all__ = ["LEAST_FOLDS", "STRENGTHS", "FoldedHeads", "Head", "answer_in_folds", "count_heads", "learn_in_folds"]

STRENGTHS = tuple(float(10 ** (power / 2)) for power in range(-1, 9))
"""Inverse penalties that are tried, 0.3 to 10,000, for features whose mean squared length is 1."""
LEAST_FOLDS = 3
"""Folds without one, of which the others still have two to choose a penalty by."""
MOST_STEPS = 300
"""Most iterations of L-BFGS for one penalty; each begins where the stronger penalty before ended."""
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


def _nested(learned: _Learned, folds: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[int], int]:
    """Return the logits in folds, the number of each fold's strength, and that of the head of all pictures."""
    numbers, targets = np.unique(folds).tolist(), learned.targets
    if len(numbers) < LEAST_FOLDS:
        raise InputError(f"a penalty that is chosen in folds needs at least {LEAST_FOLDS}, not {len(numbers)}")
    counted = {fold: learned.teaching[folds == fold] for fold in numbers}

    def losses(logits: Values, fold: int) -> Values:
        """Return the loss of every strength on the teaching pictures of a fold."""
        return _loss(logits[:, counted[fold]], targets[folds == fold][counted[fold]])

    alone = {fold: learned.answers(folds == fold) for fold in numbers}  # (strengths, n, classes)
    inner: dict[tuple[int, int], Values] = {}
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            both = (folds == one) | (folds == other)
            answers, of_one = learned.answers(both), folds[both] == one
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
    """(R, r) coordinates of the pictures to learn from, their views one after the other."""
    plain: Values
    """(N, r) coordinates of the unchanged pictures."""
    turn: Values
    """(r, features): the weights of a head are coefficients times it."""
    mean: Values
    """(features,)."""

    @classmethod
    def of(cls, plain: NDArray[np.float32], views: NDArray[np.float32] | None) -> _Basis:
        """Center the features, scale them to a mean squared length of 1, and turn them."""
        values = (plain if views is None else views.reshape(-1, plain.shape[1])).astype(np.float64)
        mean = values.mean(axis=0)
        centered = values - mean
        length = float(np.sqrt(np.square(centered).sum(axis=1).mean())) or 1.0
        left, sizes, turn = np.linalg.svd(centered / length, full_matrices=False)
        keep = sizes > sizes[:1].sum() * 1e-7
        rows, turn = left[:, keep] * sizes[keep], turn[keep]
        return cls(rows, rows if views is None else (plain - mean) / length @ turn.T, turn / length, mean)


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

    def answers(self, own: Rows) -> Values:
        """Learn without `own` (N,), and return the logits of these for each strength. -> (S, n, classes)"""
        path = self._path(self.teaching & ~own, STRENGTHS)
        return np.stack([self.basis.plain[own] @ weight.T + bias for weight, bias in path])

    def head(self, number: int) -> Head:
        """Learn from all pictures with the strength of this number."""
        *_, (weight, bias) = self._path(self.teaching, STRENGTHS[: number + 1])
        weight = weight @ self.basis.turn
        return Head(weight.astype(np.float32), (bias - weight @ self.basis.mean).astype(np.float32))

    def _path(self, taught: Rows, strengths: Sequence[float]) -> list[tuple[Values, Values]]:
        """Return weights (classes, r) and biases (classes,) of each strength, learned from `taught` (N,)."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        repeats = len(self.basis.rows) // len(self.targets)
        rows = self.basis.rows[np.tile(taught, repeats)]
        targets = np.tile(self.targets[taught], repeats)
        counts = [np.bincount(self.targets[rows], minlength=self.classes) for rows in (self.teaching, taught)]
        # A class keeps its weight without a fold; else its pictures there would be answered as those of others. A
        # picture counts once, however many views it has.
        weights = (counts[0] / np.maximum(counts[1], 1))[targets] / repeats
        if self.class_weights is not None:
            weights = weights * self.class_weights[targets]
        if (there := np.unique(targets)).size < 2:
            self.advance(1)
            bias = np.where(np.isin(np.arange(self.classes), there), 0.0, UNKNOWN)
            return [(np.zeros((self.classes, rows.shape[1])), bias)] * len(strengths)
        regression: Any = LogisticRegression(warm_start=True, max_iter=MOST_STEPS)
        found = []
        # On a second thread such small products wait longer than they compute, and their bits would follow the threads.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a head that has not converged answers all the same
            for strength in strengths:
                regression.set_params(C=strength)
                regression.fit(rows, targets, sample_weight=weights)
                found.append(self._of_all_classes(regression))
        self.advance(1)
        return found

    def _of_all_classes(self, regression: Any) -> tuple[Values, Values]:
        """Return weights (classes, r) and biases (classes,), also of two classes, and of a class that is missing."""
        weight, bias = regression.coef_, regression.intercept_
        if len(weight) == 1:  # scikit-learn has one row for two classes
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        whole, biases = np.zeros((self.classes, weight.shape[1])), np.full(self.classes, UNKNOWN)
        whole[regression.classes_], biases[regression.classes_] = weight, bias
        return whole, biases

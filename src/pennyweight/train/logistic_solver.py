"""Fit many logistic regressions on the same pictures at once by L-BFGS, so that one matrix product serves all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Regressions", "minimize"]

MOST_STEPS = 300
"""Most iterations of L-BFGS."""
TOLERANCE = 1e-4
"""Largest entry of the mean loss's gradient at which a regression has converged."""
MEMORY = 10
"""Steps that L-BFGS remembers."""
MOST_HALVINGS = 20
"""Most times that a step is halved until the loss falls."""
ARMIJO = 1e-4
"""Part of the predicted decrease that a step has to reach."""

Values = NDArray[np.float64]


class Regressions(NamedTuple):
    """B logistic regressions on the same R rows."""

    rows: Values
    """(R, D): features, and a column of ones at the end, whose weights have no penalty."""
    labels: Values
    """(R, classes): one at each row's class, else zero."""
    weights: Values
    """(B, R): weight of each row in the loss, which sum to one."""
    penalties: Values
    """(B,): factor of half the squared weights."""
    offsets: Values
    """(B, classes): added to the logits; far below zero for a class that no row shows."""

    def pick(self, which: NDArray[np.bool_]) -> Regressions:
        """Return some of the regressions, (B,)."""
        chosen = self.weights[which], self.penalties[which], self.offsets[which]
        return Regressions(self.rows, self.labels, *chosen)

    def loss(self, heads: Values) -> tuple[Values, Values]:
        """Return the loss of each head and its gradient. (B, classes, D) -> (B,), (B, classes * D)"""
        count, classes, size = heads.shape
        logits = (heads.reshape(-1, size) @ self.rows.T).reshape(count, classes, -1) + self.offsets[..., None]
        logits -= logits.max(axis=1, keepdims=True)
        own = (logits * self.labels.T).sum(axis=1)
        odds = np.exp(logits)
        total = odds.sum(axis=1)
        inner = heads[..., :-1]
        loss = ((np.log(total) - own) * self.weights).sum(axis=1)
        loss += self.penalties * np.square(inner).sum(axis=(1, 2)) / 2
        odds /= total[:, None]
        odds -= self.labels.T
        odds *= self.weights[:, None]
        gradient = (odds.reshape(count * classes, -1) @ self.rows).reshape(heads.shape)
        gradient[..., :-1] += self.penalties[:, None, None] * inner
        return loss, gradient.reshape(count, -1)


class _Step(NamedTuple):
    """A step of L-BFGS, and how it changed the gradient, (B, n) each."""

    moved: Values
    change: Values
    inverse: Values
    """(B,): one over their product; zero where the step tells nothing."""

    def pick(self, which: NDArray[np.bool_]) -> _Step:
        return _Step(self.moved[which], self.change[which], self.inverse[which])


def minimize(problem: Regressions, start: Values) -> Values:
    """Return the heads of least loss, (B, classes, D), from `start`. After MOST_STEPS a head stays where it is.

    Each head takes the steps that it would take alone. Nocedal and Wright 2006, "Numerical Optimization", algorithm
    7.4, with steps that are halved until the loss falls.
    """
    found, heads = start.copy(), start
    active = np.arange(len(start))
    loss, gradient = problem.loss(heads)
    steps: list[_Step] = []
    for _ in range(MOST_STEPS):
        if not (open_ := np.abs(gradient).max(axis=1) > TOLERANCE).all():
            found[active[~open_]] = heads[~open_]
            active, heads, loss, gradient = active[open_], heads[open_], loss[open_], gradient[open_]
            problem, steps = problem.pick(open_), [step.pick(open_) for step in steps]
            if not len(active):
                return found
        before, slope = (heads, gradient), _direction(gradient, steps)
        heads, loss, gradient = _line_search(problem, heads, loss, gradient, slope)
        moved, change = (heads - before[0]).reshape(slope.shape), gradient - before[1]
        product = _dot(moved, change)
        inverse = np.divide(1.0, product, out=np.zeros_like(product), where=product > 1e-14)
        steps = [*steps[-MEMORY + 1 :], _Step(moved, change, inverse)]
    found[active] = heads
    return found


def _dot(one: Values, other: Values) -> Values:
    found: Values = np.einsum("bn,bn->b", one, other)
    return found


def _direction(gradient: Values, steps: list[_Step]) -> Values:
    """Return the direction of each head, from its gradient and the last steps. (B, n) -> (B, n)"""
    found, factors = gradient.copy(), []
    for step in reversed(steps):
        factors.append(step.inverse * _dot(step.moved, found))
        found -= factors[-1][:, None] * step.change
    if steps:
        found *= (
            _dot(steps[-1].moved, steps[-1].change) / np.maximum(_dot(steps[-1].change, steps[-1].change), 1e-300)
        )[:, None]
    else:
        found /= np.maximum(np.sqrt(_dot(found, found)), 1e-12)[:, None]
    for step, factor in zip(steps, reversed(factors), strict=True):
        found += (factor - step.inverse * _dot(step.change, found))[:, None] * step.moved
    return -found


def _line_search(
    problem: Regressions, heads: Values, loss: Values, gradient: Values, direction: Values
) -> tuple[Values, Values, Values]:
    """Halve each head's step until its loss falls enough; return the new heads, their loss and gradient."""
    slope, size = _dot(gradient, direction), np.ones(len(heads))
    step = direction.reshape(heads.shape)
    new = heads + step
    found, new_gradient = problem.loss(new)
    for _ in range(MOST_HALVINGS):
        high = found > loss + ARMIJO * size * slope + 1e-12
        if not high.any():
            break
        size[high] /= 2
        new[high] = heads[high] + size[high, None, None] * step[high]
        found[high], new_gradient[high] = problem.pick(high).loss(new[high])
    return new, found, new_gradient

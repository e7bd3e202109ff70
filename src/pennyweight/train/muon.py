"""Muon optimizer: steps of equal length in every direction of a weight matrix, which learn more in few epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["OTHERS_LR_FACTOR", "Muon"]

OTHERS_LR_FACTOR = 2.5
"""Learning rate of the parameters that are not dense kernels, as a multiple of the kernels' learning rate."""
OTHERS_MOMENTUM = 0.9
ROUNDS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Muon by Jordan et al. 2024 ("Muon: an optimizer for hidden layers"), as airbench uses it for convolutions.

    A dense kernel keeps the norm of a matrix whose rows have length 1 and moves by its orthogonalized momentum. Every
    other parameter moves by SGD with Nesterov momentum at OTHERS_LR_FACTOR times the learning rate. Only those other
    parameters have weight decay.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, momentum: float) -> None:
        others, kernels = [], []
        for group in groups:
            held: Sequence[nn.Parameter] = group["params"]
            # A depthwise kernel is no matrix: each of its rows sees a channel of its own.
            dense = [parameter for parameter in held if parameter.ndim == 4 and parameter.shape[1] > 1]
            rest = [parameter for parameter in held if parameter.ndim != 4 or parameter.shape[1] == 1]
            rate = group["lr"] * OTHERS_LR_FACTOR
            others.append({**group, "params": rest, "lr": rate, "kernels": False, "momentum": OTHERS_MOMENTUM})
            kernels.append({**group, "params": dense, "kernels": True, "momentum": momentum})
        # Progress shows the learning rate of the last group.
        super().__init__([group for group in (*others, *kernels) if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if not group["kernels"] and group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(gradient)
                move = gradient.add(momentum, alpha=group["momentum"])
                if group["kernels"]:
                    rows = len(parameter)
                    parameter.mul_(rows**0.5 / parameter.norm())
                    move = orthogonalize(move.reshape(rows, -1)).reshape(parameter.shape)
                parameter.sub_(move, alpha=group["lr"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """Approximate the nearest matrix with singular values of 1, by Newton-Schulz rounds. (M, N) -> same.

    A round multiplies x by a polynomial of x @ x.T. The polynomials of all rounds are multiplied first, as square
    matrices of the shorter side. This takes half of the work for 3×3 kernels with as many outputs as inputs, and 0.6 of
    it for kernels that double the channels.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    square = x @ x.T
    product = factor = _factor(square)
    for _ in range(ROUNDS - 1):
        square = factor @ square @ factor
        factor = _factor(square)
        product = factor @ product
    x = product @ x
    return x.T if tall else x


def _factor(square: Tensor) -> Tensor:
    """Return the factor that one round multiplies x by, from `square` = x @ x.T. (M, M) -> same."""
    first, third, fifth = COEFFICIENTS
    factor = third * square + fifth * square @ square
    factor.diagonal().add_(first)
    return factor

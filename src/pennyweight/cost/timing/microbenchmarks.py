"""Microbenchmarks: single operators of many sizes, timed in turn under the conditions inside a network.

A fixed seed draws the shapes from wide ranges; they belong to no network. Each call finds its input just written, with
values not seen before. Its weights and instructions are as cold as a few intervening layers leave them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from pennyweight.cost.counting.forward import forward_pass
from pennyweight.cost.counting.inputs import CallInputs
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.timing.operator_draws import MAKERS, Draw, Made
from pennyweight.cost.timing.operator_kinds import Kind, kind_of

__all__ = ["Case", "Microbenchmarks"]

SEED = 20
EVICTED_BYTES = 24 << 20
"""Bytes touched between two calls: the weights of a network with six million parameters."""
SPARE = 1 << 20
"""Extra numbers beyond the largest input, so that each input can start at another offset."""
ALIGNED = 16
"""Numbers in a cache line, to which tensors are aligned."""
USUAL = 32
MOST_MACS = 3_000_000_000
MOST_ELEMENTS = 26_000_000
MOST_WEIGHTS = 40_000_000


@dataclass
class Case:
    """Benchmark case: an operator with its sizes, and its measured times in seconds."""

    module: nn.Module
    shape: tuple[int, ...]
    operation: Operation
    kind: Kind
    times: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Shortest time in seconds: the time without disturbance."""
        return min(self.times)


class Microbenchmarks:
    """All benchmark cases, or with `share` below 1 fewer of each; `round` times each case once."""

    def __init__(self, share: float = 1.0) -> None:
        draw = random.Random(SEED)  # noqa: S311 - shapes, not secrets
        with torch.no_grad(), torch.random.fork_rng():
            self.cases = [
                case for number, make in MAKERS for case in _draw_cases(make, draw, max(2, round(number * share)))
            ]
            self._others = torch.rand(EVICTED_BYTES // 4)
            # ReLU output, as after an activation: max pooling of uniform numbers takes up to twice as long.
            self._values = torch.randn(SPARE + max(prod(case.shape) for case in self.cases)).relu_()
            self._between, self._image = _usual_layers(), torch.rand(1, USUAL, 14, 14)
        draw.shuffle(self.cases)
        self._draw = draw

    def round(self, *, keep: bool = True) -> None:
        """Time every case once; do not keep the first round, which warms up."""
        with torch.no_grad():
            for case in self.cases:
                case.module(self._input(case.shape))  # refill the library's cache of kernels for this size
                self._others.add_(1.0)
                self._between(self._image)
                torch.zeros(case.operation.output)  # freed memory of earlier layers, which the output reuses
                x = self._input(case.shape)
                x.mul_(1.0)  # written just now, as by the previous layer
                started = time.perf_counter()
                case.module(x)
                elapsed = time.perf_counter() - started
                if keep:
                    case.times.append(elapsed)

    def _input(self, shape: tuple[int, ...]) -> Tensor:
        """Return new values each time, because a processor learns the branches that a small input causes."""
        size = prod(shape)
        start = ALIGNED * self._draw.randrange((len(self._values) - size) // ALIGNED)
        return self._values[start : start + size].view(shape)


def _usual_layers() -> nn.Module:
    """Return layers that every network calls, so that their instructions are warm and those of a timed case are not."""
    kinds = (nn.Conv2d(USUAL, USUAL, 3, padding=1), nn.Conv2d(USUAL, USUAL, 3, padding=1, groups=USUAL))
    convolutions = (*kinds, nn.Conv2d(USUAL, USUAL, 1))
    return nn.Sequential(*(nn.Sequential(conv, nn.BatchNorm2d(USUAL), nn.ReLU()) for conv in convolutions)).eval()


def _draw_cases(make: Callable[[Draw], Made], draw: Draw, number: int) -> list[Case]:
    """Draw `number` cases of a kind, none too large to be timed often."""
    cases: list[Case] = []
    while len(cases) < number:
        with torch.device("meta"):  # draw sizes first, so that oversized cases are never allocated
            state = draw.getstate()
            module, shape = make(draw)
        weights = sum(parameter.numel() for parameter in module.parameters())
        if prod(shape) > MOST_ELEMENTS or weights > MOST_WEIGHTS:
            continue
        operations = forward_pass(module.eval(), CallInputs(sizes=shape)).operations
        largest = max(operations, key=lambda operation: operation.bytes_read + operation.bytes_written)
        if largest.macs > MOST_MACS or prod(largest.output) > MOST_ELEMENTS:
            continue
        after = draw.getstate()
        draw.setstate(state)
        module, shape = make(draw)
        draw.setstate(after)
        cases.append(Case(module.eval(), shape, largest, kind_of(largest)))
    return cases

"""Single operators of many sizes, timed one after another as a network runs them. No network is among them.

Shapes are drawn from wide ranges by a fixed seed: they are those of no network in particular. Each call finds its input
just written, with values that it has not seen before, and its weights and its instructions as cold as a few layers
between have left them, as in a network.
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
from pennyweight.cost.counting.inputs import Given
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.timing.operator_draws import MAKERS, Draw, Made
from pennyweight.cost.timing.operator_kinds import Kind, kind_of

__all__ = ["Case", "Microbenchmarks"]

SEED = 20
EVICTED_BYTES = 24 << 20
"""What is touched between two calls: the weights of a network of six million parameters."""
SPARE = 1 << 20
"""Numbers beside those of the largest input, to begin somewhere else each time."""
ALIGNED = 16
"""Numbers in a cache line, where tensors begin."""
USUAL = 32
MOST_MACS = 3_000_000_000
MOST_ELEMENTS = 26_000_000
MOST_WEIGHTS = 40_000_000


@dataclass
class Case:
    """One operator with its sizes, and the times (s) that it took."""

    module: nn.Module
    shape: tuple[int, ...]
    operation: Operation
    kind: Kind
    times: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The shortest: what it takes when nothing disturbs it."""
        return min(self.times)


class Microbenchmarks:
    """All cases, or with `share` below 1 fewer of each; `round` times each once."""

    def __init__(self, share: float = 1.0) -> None:
        draw = random.Random(SEED)  # noqa: S311 - shapes, not secrets
        with torch.no_grad(), torch.random.fork_rng():
            self.cases = [case for number, make in MAKERS for case in _cases(make, draw, max(2, round(number * share)))]
            self._others = torch.rand(EVICTED_BYTES // 4)
            # As an activation leaves them. Pooling numbers that are spread evenly takes up to twice as long.
            self._values = torch.randn(SPARE + max(prod(case.shape) for case in self.cases)).relu_()
            self._between, self._image = _usual_layers(), torch.rand(1, USUAL, 14, 14)
        draw.shuffle(self.cases)
        self._draw = draw

    def round(self, *, keep: bool = True) -> None:
        """Every case once; the first round, which warms up, is not to be kept."""
        with torch.no_grad():
            for case in self.cases:
                case.module(self._input(case.shape))  # a library that forgot how this size is run learns it again
                self._others.add_(1.0)
                self._between(self._image)
                torch.zeros(case.operation.output)  # what layers before wrote and let go of, for what this one makes
                x = self._input(case.shape)
                x.mul_(1.0)  # written just now, as by the layer before
                started = time.perf_counter()
                case.module(x)
                elapsed = time.perf_counter() - started
                if keep:
                    case.times.append(elapsed)

    def _input(self, shape: tuple[int, ...]) -> Tensor:
        """Other values each time: a processor remembers which way small inputs made it branch."""
        size = prod(shape)
        start = ALIGNED * self._draw.randrange((len(self._values) - size) // ALIGNED)
        return self._values[start : start + size].view(shape)


def _usual_layers() -> nn.Module:
    """What any network calls over and over: their instructions are warm, and those of what else is timed are not."""
    kinds = (nn.Conv2d(USUAL, USUAL, 3, padding=1), nn.Conv2d(USUAL, USUAL, 3, padding=1, groups=USUAL))
    convolutions = (*kinds, nn.Conv2d(USUAL, USUAL, 1))
    return nn.Sequential(*(nn.Sequential(conv, nn.BatchNorm2d(USUAL), nn.ReLU()) for conv in convolutions)).eval()


def _cases(make: Callable[[Draw], Made], draw: Draw, number: int) -> list[Case]:
    """So many cases of a kind, none of them too large to be timed often."""
    cases: list[Case] = []
    while len(cases) < number:
        with torch.device("meta"):  # sizes first: most of what is too large is never made
            state = draw.getstate()
            module, shape = make(draw)
        weights = sum(parameter.numel() for parameter in module.parameters())
        if prod(shape) > MOST_ELEMENTS or weights > MOST_WEIGHTS:
            continue
        operations = forward_pass(module.eval(), Given(sizes=shape)).operations
        largest = max(operations, key=lambda operation: operation.bytes_read + operation.bytes_written)
        if largest.macs > MOST_MACS or prod(largest.output) > MOST_ELEMENTS:
            continue
        after = draw.getstate()
        draw.setstate(state)
        module, shape = make(draw)
        draw.setstate(after)
        cases.append(Case(module.eval(), shape, largest, kind_of(largest)))
    return cases

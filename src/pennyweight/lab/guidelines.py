"""Four experiments behind ShuffleNetV2's guidelines, timed on this machine.

Ma et al. 2018, arXiv:1807.11164, Tables 1 to 4. The rows of an experiment have nearly the same multiply-accumulates and
differ in the guideline's subject. Each network has ten blocks on 56×56 positions. The bottleneck's widths (Table 4) are
our choice.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pennyweight.core.figures import megabytes, number, spread
from pennyweight.core.heap import keeping_memory
from pennyweight.core.summary import Facts, Summary
from pennyweight.cost import count

__all__ = ["EXPERIMENTS", "Experiment", "Measured", "run_guidelines"]

BLOCKS = 10
SIDE = 56
WARM_UP = 2


@dataclass(frozen=True)
class Experiment:
    """Table of the paper: the quantity that varies, and its rows (label, input channels, network)."""

    guideline: str
    title: str
    rows: tuple[tuple[str, int, Callable[[], nn.Module]], ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Measured(Summary):
    """Row of an experiment on this machine; `ms` is the median latency, with the 25% and 75% quartiles."""

    guideline: str
    label: str
    macs: int
    traffic_bytes: int
    ms: float
    quartiles_ms: tuple[float, float]

    def _facts(self) -> Facts:
        yield self.guideline, self.label
        yield "MACs", number(self.macs)
        yield "traffic", megabytes(self.traffic_bytes)
        yield "median", f"{number(self.ms)} ms"
        yield "quartiles", f"{spread(self.quartiles_ms)} ms"


class Branches(nn.Module):
    """Sum of parallel convolutions: (B, c, H, W) -> same."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        out: Tensor = first(x)
        for branch in others:
            out = out + branch(x)
        return out


class Bottleneck(nn.Module):
    """Bottleneck: 1×1 to a quarter, 3×3, 1×1 back, with or without ReLU and shortcut. (B, c, H, W) -> same."""

    def __init__(self, c: int, *, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inner = c // 4
        self.layers = nn.ModuleList([_conv(c, inner), _conv(inner, inner, kernel=3), _conv(inner, c)])
        self.relu, self.shortcut = relu, shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers:
            y = layer(y)
            if self.relu:
                y = y.relu()
        return y + x if self.shortcut else y


def _conv(c_in: int, c_out: int, *, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)


def _widths(c1: int, c2: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(nn.Sequential(_conv(c1, c2), _conv(c2, c1)) for _ in range(BLOCKS)))


def _groups(c: int, groups: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(_conv(c, c, groups=groups) for _ in range(BLOCKS)))


def _series(c: int, fragments: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(_conv(c, c) for _ in range(BLOCKS * fragments)))


def _parallel(c: int, fragments: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(Branches(*(_conv(c, c) for _ in range(fragments))) for _ in range(BLOCKS)))


def _bottlenecks(*, relu: bool, shortcut: bool) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(Bottleneck(128, relu=relu, shortcut=shortcut) for _ in range(BLOCKS)))


EXPERIMENTS = (
    Experiment(
        "G1",
        "Table 1: two 1×1 convolutions, widths c1 to c2 and back",
        (
            ("1:1", 128, _widths(128, 128)),
            ("1:2", 90, _widths(90, 180)),
            ("1:6", 52, _widths(52, 312)),
            ("1:12", 36, _widths(36, 432)),
        ),
    ),
    Experiment(
        "G2",
        "Table 2: a grouped 1×1 convolution",
        tuple((f"g={g}", c, _groups(c, g)) for g, c in ((1, 128), (2, 180), (4, 256), (8, 360))),
    ),
    Experiment(
        "G3",
        "Table 3: one convolution in fragments",
        (
            ("1 fragment", 128, _series(128, 1)),
            ("2 in series", 90, _series(90, 2)),
            ("4 in series", 64, _series(64, 4)),
            ("2 in parallel", 90, _parallel(90, 2)),
            ("4 in parallel", 64, _parallel(64, 4)),
        ),
    ),
    Experiment(
        "G4",
        "Table 4: a bottleneck with and without ReLU and shortcut",
        (
            ("ReLU, shortcut", 128, _bottlenecks(relu=True, shortcut=True)),
            ("ReLU", 128, _bottlenecks(relu=True, shortcut=False)),
            ("shortcut", 128, _bottlenecks(relu=False, shortcut=True)),
            ("neither", 128, _bottlenecks(relu=False, shortcut=False)),
        ),
    ),
)


@keeping_memory()
def run_guidelines(
    experiments: Sequence[Experiment] = EXPERIMENTS, *, repeats: int = 30, batch: int = 1, side: int = SIDE
) -> tuple[Measured, ...]:
    """Time every row of every experiment, in turn, so that drift of the machine affects all rows equally.

    Args:
        experiments: Experiments to run, by default all four.
        repeats: Timed calls of each row, after two warm-up calls.
        batch: Images per call.
        side: Height and width of the input in pixels.

    Returns:
        A row for each row of the experiments: counted work and traffic, measured latency in milliseconds.
    """
    rows = [(e.guideline, label, c, make().eval()) for e in experiments for label, c, make in e.rows]
    times: list[list[float]] = [[] for _ in rows]
    with torch.no_grad():
        inputs = [torch.zeros(batch, c, side, side) for _, _, c, _ in rows]
        for repeat in range(repeats + WARM_UP):
            for (_, _, _, network), x, spent in zip(rows, inputs, times, strict=True):
                network(x)  # an untimed call refills the caches after the previous network
                started = time.perf_counter()
                network(x)
                if repeat >= WARM_UP:
                    spent.append(1000 * (time.perf_counter() - started))
    measured = []
    for (guideline, label, c, network), spent in zip(rows, times, strict=True):
        cost = count(network, (c, side, side), batch=batch)
        low, middle, high = statistics.quantiles(spent, n=4, method="inclusive") if len(spent) > 1 else spent * 3
        measured.append(
            Measured(
                guideline=guideline,
                label=label,
                macs=cost.macs,
                traffic_bytes=cost.bytes_read + cost.bytes_written,
                ms=middle,
                quartiles_ms=(low, high),
            )
        )
    return tuple(measured)

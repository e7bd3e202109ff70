"""Training steps of a process that keeps freed memory, against one that returns it, as glibc does by default.

    python benchmarks/kept_memory.py [--repeats N]

Both run in this process, in turn, each after one untimed step. A fault is a page that the system clears because the
process requested it again.
"""

import argparse
import os
import resource
import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console

from pennyweight import zoo
from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import cores, machine, versions
from pennyweight.report.tables import Column, table

STEPS = 3
CASES: tuple[tuple[str, int, int, dict[str, Any]], ...] = (
    ("mobilenet_v1 ×0.5", 128, 32, {"name": "mobilenet_v1", "width": 0.5, "stem": "cifar"}),
    ("mobilenet_v1", 128, 32, {"name": "mobilenet_v1", "stem": "cifar"}),
    ("resnet_9_x0_25", 128, 32, {"name": "resnet_9_x0_25"}),
    ("mobilenet_v2", 32, 224, {"name": "mobilenet_v2"}),
    ("resnet18", 32, 224, {"name": "resnet18"}),
    ("efficientnet_b0", 16, 224, {"name": "efficientnet_b0"}),
)


class Steps:
    """SGD steps on random pictures; channels-last, float32."""

    def __init__(self, batch: int, side: int, network: dict[str, Any]) -> None:
        self.network = zoo.create(**network, num_classes=10).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)
        self.images = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
        self.targets = torch.randint(0, 10, (batch,))

    def take(self, place: AbstractContextManager[None]) -> tuple[float, float]:
        """Return (milliseconds per step, page faults per step) inside `place`."""
        with place:
            self._step()
            faults, started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
            for _ in range(STEPS):
                self._step()
            spent = time.perf_counter() - started
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        return 1000 * spent / STEPS, faults / STEPS

    def _step(self) -> None:
        self.optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(self.network(self.images), self.targets))
        self.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(cores())
    rows = []
    for name, batch, side, network in CASES:
        steps = Steps(batch, side, network)
        turns = [(steps.take(nullcontext()), steps.take(keeping_memory())) for _ in range(asked.repeats)]
        (given, given_faults), (kept, kept_faults) = (
            (statistics.median(time for time, _ in side), statistics.median(faults for _, faults in side))
            for side in zip(*turns, strict=True)
        )
        rows.append((name, f"{batch} × {side}", given, kept, given / kept, round(given_faults), round(kept_faults)))
    columns = [
        Column("network"),
        Column("batch"),
        Column("ms"),
        Column("kept, ms"),
        Column("times"),
        Column("faults"),
        Column("kept"),
    ]
    console = Console()
    console.print(table("a training step", columns, rows))
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
